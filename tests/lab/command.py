"""The verbs of ci/lab."""

import argparse
import os
import subprocess
import sys

import build
import catalog
import images
import mirror
import oci
import serve
import store
from toolchain import Toolchain, host_arch
from trouble import Trouble, say

# Of the default run: nodes are of the newest Kubernetes and of the one before it. A lock
# is of both architectures.
KUBERNETES = ["1.37", "1.36"]
# Programs that are in no image and no mirror.
TOOLS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd", "coredns", "e2e.test", "critest", "crane", "registry", "actionlint")


def everything(lab, tools, options):
    if options.full:
        published = (catalog.ARCHES, catalog.versions("kubelet"), catalog.versions("containerd"))
    else:
        published = (catalog.ARCHES, KUBERNETES)
    names, arches = (catalog.names(), catalog.ARCHES) if options.full else (TOOLS, [host_arch()])
    others = [(catalog.find(name), arch) for arch in arches for name in names]
    build.programs(lab, tools, [*mirror.programs(*published), *others])
    mirror.publish(lab, tools, *published)
    for one, arch in others:
        build.program(lab, tools, one, arch)  # its link, where it was kept already
    make_images(lab, tools, [])
    build.trim(lab)
    return lab


def make_mirror(lab, tools, options):
    arches = catalog.ARCHES if options.arch == "all" else [options.arch or host_arch()]
    mirror.publish(lab, tools, arches, mirror.wanted(options.kubernetes))
    build.trim(lab)
    return lab / "mirror"


def make_program(lab, tools, options):
    name, _, version = options.name.partition("@")
    one = catalog.find(name, version)
    folder = build.program(lab, tools, one, options.arch or host_arch())
    return folder / next(iter(one.files))


def make_images(lab, tools, names):
    for name in names or images.names():
        images.image(lab, tools, name)
    return lab / "images"


def make_archive(lab, tools, options):
    oci.archive(images.image(lab, tools, options.name), options.file)
    return options.file


def check(lab, tools, _):
    """Asks for the smallest module's information, by whichever Go there is."""
    tools.go(catalog.HERE / "go-containerregistry", "mod", "download", "github.com/google/go-containerregistry")
    return None


def module(_, tools, options):
    name, _, version = options.name.partition("@")
    one = catalog.find(name, version)
    return tools.module(one.folder, one.module)


def tidy(_, tools, options):
    folder = catalog.HERE / options.folder
    if not (folder / "go.mod").is_file():
        raise Trouble(f"tests/lab has no folder '{options.folder}' with a go.mod")
    tools.go(folder, "mod", "tidy")
    return None


def listed(*_):
    programs = [f"{one.name} {one.version}" for one in catalog.all_programs()]
    return "\n".join([*programs, *(f"image {name}" for name in images.names())])


def _parser(text):
    parser = argparse.ArgumentParser(prog="ci/lab", usage=argparse.SUPPRESS, add_help=False)
    parser.add_argument("-h", "--help", action="store_true")
    verbs = parser.add_subparsers(dest="verb", parser_class=lambda **given: argparse.ArgumentParser(**given, add_help=False))

    def verb(name, run):
        one = verbs.add_parser(name)
        one.set_defaults(run=run)
        return one

    verb("all", everything).add_argument("--full", action="store_true")
    one = verb("mirror", make_mirror)
    one.add_argument("--arch", choices=[*catalog.ARCHES, "all"])
    one.add_argument("--kubernetes", action="append")
    one = verb("program", make_program)
    one.add_argument("name")
    one.add_argument("--arch", choices=catalog.ARCHES)
    verb("images", lambda lab, tools, options: make_images(lab, tools, options.names)).add_argument("names", nargs="*")
    one = verb("archive", make_archive)
    one.add_argument("name")
    one.add_argument("file")
    one = verb("serve", lambda lab, tools, options: serve.folder(options.folder, options.port))
    one.add_argument("folder")
    one.add_argument("port", nargs="?", type=int, default=0)
    verb("check", check)
    verb("module", module).add_argument("name")
    verb("tidy", tidy).add_argument("folder")
    verb("list", listed)
    return parser


def main(text):
    options = _parser(text).parse_args()
    if options.help or not options.verb:
        print(text.strip())
        return 0 if options.help else 2
    os.umask(0o022)
    try:
        lab = store.directory()
        made = options.run(lab, Toolchain(lab), options)
    except Trouble as error:
        say(f"error: {error}")
        return 1
    except (OSError, subprocess.SubprocessError) as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    if made is not None:
        print(made)
    sys.stdout.flush()
    return 0
