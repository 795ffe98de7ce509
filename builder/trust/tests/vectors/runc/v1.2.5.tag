object 59923ef18c98053ddb1acf23ecba10344056c28e
type commit
tag v1.2.5
tagger Aleksa Sarai <cyphar@cyphar.com> 1739495638 +1100

runc v1.2.5 -- "Мороз и солнце; день чудесный!"

This is the fifth patch release in the 1.2.z series of runc. It
primarily fixes an issue caused by an upstream systemd bug.

 * There was a regression in systemd v230 which made the way we define device
   rule restrictions require a systemctl daemon-reload for our transient
   units. This caused issues for workloads using NVIDIA GPUs. Workaround the
   upstream regression by re-arranging how the unit properties are defined.
   (#4568, #4612, #4615)
 * Dependency github.com/cyphar/filepath-securejoin is updated to v0.4.1,
   to allow projects that vendor runc to bump it as well. (#4608)
 * CI: fixed criu-dev compilation. (#4611)
 * Dependency golang.org/x/net is updated to 0.33.0. (#4632)

Thanks to the following contributors who made this release possible:

 * Akihiro Suda <akihiro.suda.cz@hco.ntt.co.jp>
 * Aleksa Sarai <cyphar@cyphar.com>
 * Brad Davidson <brad.davidson@rancher.com>
 * Jian Wen <wenjianhn@gmail.com>
 * Kir Kolyshkin <kolyshkin@gmail.com>
 * Rodrigo Campos <rata@users.noreply.github.com>
 * lifubang <lifubang@acmcoder.com>

Signed-off-by: Aleksa Sarai <cyphar@cyphar.com>
