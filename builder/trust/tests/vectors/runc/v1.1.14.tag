object 2c9f5602f0ba3d9da1c2596322dfc4e156844890
type commit
tag v1.1.14
tagger Aleksa Sarai <cyphar@cyphar.com> 1725326168 +1000

v1.1.14 -- "年を取っていいことは、驚かなくなることね。"

This is the fourteenth patch release in the 1.1.z release branch of
runc. It includes a fix for a low severity security issue
(CVE-2024-45310) as well as some minor build-related fixes (including Go
1.23 support).

 * Fix CVE-2024-45310, a low-severity attack that allowed maliciously
   configured containers to create empty files and directories on the host.
 * Add support for Go 1.23. (#4360, #4372)
 * Revert "allow overriding VERSION value in Makefile" and add EXTRA_VERSION.
   (#4370, #4382)
 * rootfs: consolidate mountpoint creation logic. (#4359)

Thanks to all of the contributors who made this release possible:

 * Akihiro Suda <akihiro.suda.cz@hco.ntt.co.jp>
 * Aleksa Sarai <cyphar@cyphar.com>
 * Kir Kolyshkin <kolyshkin@gmail.com>
 * Rodrigo Campos <rodrigoca@microsoft.com>
 * Sebastiaan van Stijn <thaJeztah@users.noreply.github.com>
 * lifubang <lifubang@acmcoder.com>

Signed-off-by: Aleksa Sarai <cyphar@cyphar.com>
