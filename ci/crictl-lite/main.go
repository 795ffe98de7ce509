// crictl-lite is a small stand-in for crictl in nodeimg's tests. It is NOT
// upstream's crictl (kubernetes-sigs/cri-tools): Debian has no source of that,
// so ci/mirror publishes this one in its place.
//
// It speaks CRI v1alpha2 (containerd 1.x, Kubernetes 1.20) and knows what a
// node test or kubeadm asks: version, info, pods, ps, images, inspect, inspecti,
// inspectp, pull, stopp, rmp. Options and the config file are a subset of crictl's own, same names.
// What it does not know it refuses; it never pretends.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/grpc"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1alpha2"
)

const (
	about           = "crictl-lite (nodeimg test stand-in, not upstream crictl)"
	defaultConfig   = "/etc/crictl.yaml"
	defaultEndpoint = "unix:///run/containerd/containerd.sock"
	shortID         = 13
)

const usage = about + `

usage: crictl [-r ENDPOINT] [-t SECONDS] [-c CONFIG] COMMAND [ARGS]

  version              of the client and of the runtime
  info                 status of the runtime, as JSON
  pods [-q]            list pod sandboxes (-q: their ids alone)
  ps [-a]              list containers (-a: not only running ones)
  images               list images
  inspect ID           status of a container, as JSON
  inspecti IMAGE       status of an image, as JSON; fails where there is none
  inspectp ID          status of a pod sandbox, as JSON
  pull IMAGE           have the runtime pull an image, without credentials
  stopp ID...          stop pod sandboxes
  rmp [-f] ID...       remove pod sandboxes (-f: stop them first)
`

type client struct {
	ctx     context.Context
	runtime cri.RuntimeServiceClient
	images  cri.ImageServiceClient
	out     io.Writer
}

type command struct {
	minArgs, maxArgs int
	flags            string // the one-letter flags that it takes
	run              func(c client, flags map[string]bool, args []string) error
}

const anyNumber = 1 << 20

var commands = map[string]command{
	"version":  {0, 0, "", version},
	"info":     {0, 0, "", info},
	"pods":     {0, 0, "q", pods},
	"ps":       {0, 0, "a", ps},
	"images":   {0, 0, "", images},
	"inspect":  {1, 1, "", inspect},
	"inspecti": {1, 1, "", inspecti},
	"inspectp": {1, 1, "", inspectp},
	"pull":     {1, 1, "", pull},
	"stopp":    {1, anyNumber, "", stopp},
	"rmp":      {1, anyNumber, "f", rmp},
}

func version(c client, _ map[string]bool, _ []string) error {
	r, err := c.runtime.Version(c.ctx, &cri.VersionRequest{})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "Client:  %s\nVersion:  %s\nRuntimeName:  %s\nRuntimeVersion:  %s\nRuntimeApiVersion:  %s\n",
		about, r.Version, r.RuntimeName, r.RuntimeVersion, r.RuntimeApiVersion)
	return nil
}

func info(c client, _ map[string]bool, _ []string) error {
	r, err := c.runtime.Status(c.ctx, &cri.StatusRequest{Verbose: true})
	if err != nil {
		return err
	}
	return printJSON(c.out, map[string]interface{}{"status": r.Status, "info": rawInfo(r.Info)})
}

func pods(c client, flags map[string]bool, _ []string) error {
	r, err := c.runtime.ListPodSandbox(c.ctx, &cri.ListPodSandboxRequest{})
	if err != nil {
		return err
	}
	if flags["q"] {
		for _, p := range r.Items {
			fmt.Fprintln(c.out, p.Id)
		}
		return nil
	}
	rows := [][]string{{"POD ID", "CREATED", "STATE", "NAME", "NAMESPACE", "ATTEMPT"}}
	for _, p := range r.Items {
		m := p.GetMetadata()
		rows = append(rows, []string{short(p.Id), stamp(p.CreatedAt), word(p.State.String(), "SANDBOX_"),
			m.GetName(), m.GetNamespace(), fmt.Sprint(m.GetAttempt())})
	}
	return printTable(c.out, rows)
}

func ps(c client, flags map[string]bool, _ []string) error {
	filter := &cri.ContainerFilter{}
	if !flags["a"] {
		filter.State = &cri.ContainerStateValue{State: cri.ContainerState_CONTAINER_RUNNING}
	}
	r, err := c.runtime.ListContainers(c.ctx, &cri.ListContainersRequest{Filter: filter})
	if err != nil {
		return err
	}
	rows := [][]string{{"CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "ATTEMPT", "POD ID"}}
	for _, k := range r.Containers {
		rows = append(rows, []string{short(k.Id), short(k.GetImage().GetImage()), stamp(k.CreatedAt),
			word(k.State.String(), "CONTAINER_"), k.GetMetadata().GetName(),
			fmt.Sprint(k.GetMetadata().GetAttempt()), short(k.PodSandboxId)})
	}
	return printTable(c.out, rows)
}

func images(c client, _ map[string]bool, _ []string) error {
	r, err := c.images.ListImages(c.ctx, &cri.ListImagesRequest{})
	if err != nil {
		return err
	}
	rows := [][]string{{"IMAGE", "IMAGE ID", "SIZE"}}
	for _, i := range r.Images {
		names := i.RepoTags
		if len(names) == 0 {
			names = []string{"<none>"}
		}
		for _, name := range names {
			rows = append(rows, []string{name, short(i.Id), fmt.Sprint(i.Size_)})
		}
	}
	return printTable(c.out, rows)
}

func inspect(c client, _ map[string]bool, args []string) error {
	r, err := c.runtime.ContainerStatus(c.ctx, &cri.ContainerStatusRequest{ContainerId: args[0], Verbose: true})
	if err != nil {
		return err
	}
	return printJSON(c.out, map[string]interface{}{"status": r.Status, "info": rawInfo(r.Info)})
}

func inspectp(c client, _ map[string]bool, args []string) error {
	r, err := c.runtime.PodSandboxStatus(c.ctx, &cri.PodSandboxStatusRequest{PodSandboxId: args[0], Verbose: true})
	if err != nil {
		return err
	}
	return printJSON(c.out, map[string]interface{}{"status": r.Status, "info": rawInfo(r.Info)})
}

func inspecti(c client, _ map[string]bool, args []string) error {
	r, err := c.images.ImageStatus(c.ctx, &cri.ImageStatusRequest{
		Image: &cri.ImageSpec{Image: args[0]}, Verbose: true,
	})
	if err != nil {
		return err
	}
	if r.Image == nil {
		return fmt.Errorf("no such image %q present", args[0])
	}
	return printJSON(c.out, map[string]interface{}{"status": r.Image, "info": rawInfo(r.Info)})
}

func pull(c client, _ map[string]bool, args []string) error {
	r, err := c.images.PullImage(c.ctx, &cri.PullImageRequest{Image: &cri.ImageSpec{Image: args[0]}})
	if err != nil {
		return fmt.Errorf("pulling image %s: %w", args[0], err)
	}
	fmt.Fprintf(c.out, "Image is up to date for %s\n", r.ImageRef)
	return nil
}

func stopp(c client, _ map[string]bool, args []string) error {
	for _, id := range args {
		if _, err := c.runtime.StopPodSandbox(c.ctx, &cri.StopPodSandboxRequest{PodSandboxId: id}); err != nil {
			return fmt.Errorf("stopping pod sandbox %s: %w", id, err)
		}
		fmt.Fprintf(c.out, "Stopped sandbox %s\n", id)
	}
	return nil
}

func rmp(c client, flags map[string]bool, args []string) error {
	if flags["f"] {
		if err := stopp(c, nil, args); err != nil {
			return err
		}
	}
	for _, id := range args {
		if _, err := c.runtime.RemovePodSandbox(c.ctx, &cri.RemovePodSandboxRequest{PodSandboxId: id}); err != nil {
			return fmt.Errorf("removing pod sandbox %s: %w", id, err)
		}
		fmt.Fprintf(c.out, "Removed sandbox %s\n", id)
	}
	return nil
}

func short(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	if len(id) == 64 {
		return id[:shortID]
	}
	return id
}

func stamp(nanoseconds int64) string {
	return time.Unix(0, nanoseconds).UTC().Format(time.RFC3339)
}

func word(state, prefix string) string {
	return strings.ToLower(strings.TrimPrefix(state, prefix))
}

// rawInfo keeps what a runtime says as JSON what it is, and quotes the rest.
func rawInfo(info map[string]string) map[string]interface{} {
	raw := map[string]interface{}{}
	for key, value := range info {
		if json.Valid([]byte(value)) {
			raw[key] = json.RawMessage(value)
		} else {
			raw[key] = value
		}
	}
	return raw
}

func printJSON(out io.Writer, value interface{}) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

func printTable(out io.Writer, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 8, 3, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// endpointOf reads the one key of crictl.yaml that matters here.
func endpointOf(config string) (string, error) {
	file, err := os.Open(config)
	if err != nil {
		return "", err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if value := strings.TrimPrefix(line, "runtime-endpoint:"); value != line {
			return strings.Trim(strings.TrimSpace(value), `"'`), nil
		}
	}
	return "", lines.Err()
}

func chooseEndpoint(option, config string, configNamed bool) (string, error) {
	if option != "" {
		return option, nil
	}
	if env := os.Getenv("CONTAINER_RUNTIME_ENDPOINT"); env != "" {
		return env, nil
	}
	endpoint, err := endpointOf(config)
	if err != nil && (configNamed || !os.IsNotExist(err)) {
		return "", err
	}
	if endpoint == "" {
		endpoint = defaultEndpoint
	}
	return endpoint, nil
}

func connect(ctx context.Context, endpoint string) (*grpc.ClientConn, error) {
	path := strings.TrimPrefix(endpoint, "unix://")
	if !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("runtime endpoint %q is not unix:///PATH", endpoint)
	}
	dial := func(ctx context.Context, path string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
	conn, err := grpc.DialContext(ctx, path, grpc.WithInsecure(), grpc.WithBlock(),
		grpc.WithContextDialer(dial), grpc.FailOnNonTempDialError(true),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20)))
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", endpoint, err)
	}
	return conn, nil
}

var errUsage = errors.New("see crictl --help")

// parse splits a command's own words into flags and arguments.
func parse(name string, words []string) (command, map[string]bool, []string, error) {
	cmd, known := commands[name]
	if !known {
		return cmd, nil, nil, fmt.Errorf("command %q is not in %s: %w", name, about, errUsage)
	}
	flags, args := map[string]bool{}, []string{}
	for _, w := range words {
		if !strings.HasPrefix(w, "-") {
			args = append(args, w)
		} else if len(w) == 2 && strings.Contains(cmd.flags, w[1:]) {
			flags[w[1:]] = true
		} else {
			return cmd, nil, nil, fmt.Errorf("%s has no option %s in %s: %w", name, w, about, errUsage)
		}
	}
	if len(args) < cmd.minArgs || len(args) > cmd.maxArgs {
		return cmd, nil, nil, fmt.Errorf("%s: wrong number of arguments: %w", name, errUsage)
	}
	return cmd, flags, args, nil
}

func run() error {
	var endpoint, config string
	var seconds int
	var showVersion bool
	options := flag.NewFlagSet("crictl", flag.ContinueOnError)
	options.Usage = func() { fmt.Fprint(options.Output(), usage) }
	for _, name := range []string{"r", "runtime-endpoint"} {
		options.StringVar(&endpoint, name, "", "")
	}
	for _, name := range []string{"c", "config"} {
		options.StringVar(&config, name, "", "")
	}
	for _, name := range []string{"t", "timeout"} {
		options.IntVar(&seconds, name, 10, "")
	}
	for _, name := range []string{"v", "version"} {
		options.BoolVar(&showVersion, name, false, "")
	}
	if err := options.Parse(os.Args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return errUsage
	}
	if showVersion {
		fmt.Println(about)
		return nil
	}
	if options.NArg() == 0 {
		return fmt.Errorf("no command: %w", errUsage)
	}
	cmd, flags, args, err := parse(options.Arg(0), options.Args()[1:])
	if err != nil {
		return err
	}
	configNamed := config != ""
	if !configNamed {
		config = defaultConfig
	}
	if endpoint, err = chooseEndpoint(endpoint, config, configNamed); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds)*time.Second)
	defer cancel()
	conn, err := connect(ctx, endpoint)
	if err != nil {
		return err
	}
	defer conn.Close()
	return cmd.run(client{ctx, cri.NewRuntimeServiceClient(conn), cri.NewImageServiceClient(conn), os.Stdout}, flags, args)
}

func main() {
	err := run()
	if err == nil {
		return
	}
	fmt.Fprintf(os.Stderr, "crictl-lite: error: %v\n", err)
	if errors.Is(err, errUsage) {
		os.Exit(2)
	}
	os.Exit(1)
}
