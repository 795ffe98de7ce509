object 8f2685a471d3347a686ad3909783d8aafc6bb208
type commit
tag v1.5.1
tagger Aleksa Sarai <cyphar@cyphar.com> 1783990337 +1000

runc v1.5.1 -- "El lujo es vulgaridad, dijo, y me conquistó."

This is the first patch release in the 1.5.z release series of runc, and
primarily includes a fix for a serious regression on Ubuntu 20.04
kernels.

Fixed:

- There was a regression reported in with the maskPaths optimisation
  added in 1.5.0-rc.3 (#5275). On Ubuntu Focal (20.04), attempts to
  mount tmpfs with the "nr_inodes=1" option will fail due to a
  downstream kernel patch (ironically originating from AUFS). We now
  have a fallback path using "nr_inodes=2" instead if the operation
  fails. (#5348, #5358, #5359)

- Properly handle EINVAL for seccomp SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
  when trying to rewrite the filter. This appears to only happen if you
  compile runc with libseccomp >= 2.6.0 and then run it with an < 2.6.0
  libseccomp. (#5347, #5354)

Thanks to the following contributors who made this release possible:

 * Akihiro Suda <akihiro.suda.cz@hco.ntt.co.jp>
 * Aleksa Sarai <cyphar@cyphar.com>
 * Kir Kolyshkin <kolyshkin@gmail.com>
 * Paco Xu <roollingstone@gmail.com>
 * Rodrigo Campos Catelin <rodrigo@amutable.com>
 * lifubang <lifubang@acmcoder.com>

Signed-off-by: Aleksa Sarai <cyphar@cyphar.com>
