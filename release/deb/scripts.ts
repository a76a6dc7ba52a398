import { INSTALL_RECORD_PATH } from '../../src/runtimes/files/install-record.ts'

/**
 * The scripts that dpkg runs. With `DPKG_ROOT` dpkg installs into a folder for another machine: then nothing is started.
 * The agent loads parts of its code when it needs them, so it is stopped before its files change, and started after that.
 */
export const SCRIPTS: Readonly<Record<'postinst' | 'prerm' | 'postrm', string>> = {
  postinst: `#!/bin/sh
set -e
if [ "$1" = configure ]; then
  if ! grep -q '^leat:' "$DPKG_ROOT/etc/passwd"; then
    useradd \${DPKG_ROOT:+--prefix "$DPKG_ROOT"} --system --user-group --no-create-home \\
      --home-dir /var/lib/leat --shell /usr/sbin/nologin --comment "Leat" leat
  fi
  if command -v deb-systemd-helper > /dev/null; then deb-systemd-helper enable leat.service > /dev/null; fi
fi
# prerm has stopped the agent before an upgrade or a removal that then failed.
case "$1" in
  configure | abort-upgrade | abort-remove | abort-deconfigure)
    if [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
      systemctl --system daemon-reload
      deb-systemd-invoke start leat.service || true
    fi
    ;;
esac
`,
  prerm: `#!/bin/sh
set -e
if [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
  deb-systemd-invoke stop leat.service
fi
if [ "$1" = remove ] && [ -e "$DPKG_ROOT${INSTALL_RECORD_PATH}" ]; then
  echo 'leat: settings of container runtimes still point at the agent; to restore them, install leat again and run: leat runtime uninstall' >&2
fi
`,
  postrm: `#!/bin/sh
set -e
if [ "$1" = remove ] && command -v deb-systemd-helper > /dev/null; then
  deb-systemd-helper disable leat.service > /dev/null || true
fi
if [ "$1" = purge ]; then
  if command -v deb-systemd-helper > /dev/null; then deb-systemd-helper purge leat.service > /dev/null || true; fi
  rm -rf "$DPKG_ROOT/var/lib/leat/data"
  # The record of what runtimes had before stays, because it is all that can restore them.
  for folder in "$DPKG_ROOT/var/lib/leat/runtime" "$DPKG_ROOT/var/lib/leat"; do
    rmdir "$folder" 2> /dev/null || true
  done
fi
if [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then systemctl --system daemon-reload; fi
`,
}

/** The settings file of a new installation. dpkg keeps what an administrator changes in it. */
export const CONFIG_FILE = `# The settings of Leat. All of them are described in /usr/share/doc/leat/settings.md; leat config check finds mistakes, and
# a running agent takes over most changes of upstreams, allow, warm and limits at once (the log says which need a restart).
# Everybody on this machine can read this file: put passwords into files that only root and the group leat can read.

data: /var/lib/leat/data   # a folder elsewhere also needs ReadWritePaths= (systemctl edit leat)

# maxBytes: 50GiB
# upstreams:
#   - namespace: docker.io
#     username: alice
#     passwordFile: /etc/leat/hub-password
# warm: [docker.io/library/alpine:3]
`
