#!/bin/sh
# try.sh PACKAGE.deb [SUITE [MIRROR]]: installs the package on a new Debian in a temporary directory,
# starts the gateway as its unit does, as the user that the package makes, and lets a device join.
# As root; `cargo xtask dist --try` calls it.
set -eu
package=$1
suite=${2:-bookworm}
mirror=${3:-http://deb.debian.org/debian}
root=$(mktemp -d)
gateway=
finish() {
    if [ -n "$gateway" ]; then
        kill "$gateway" 2>/dev/null || true
        wait "$gateway" 2>/dev/null || true
    fi
    umount "$root/proc" 2>/dev/null || true
    rm -rf "$root"
}
trap finish EXIT

debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$root.log" 2>&1 || {
    tail "$root.log"
    exit 1
}
rm -f "$root.log"
# mktemp makes it root's alone, and the gateway's user has to get through.
chmod 755 "$root"
mount -t proc proc "$root/proc"
cp "$package" "$root/package.deb"
chroot "$root" dpkg --install /package.deb
chroot "$root" dpkg --verify anonymous-domains
for program in gateway domainctl domain-device; do
    chroot "$root" "$program" --version
done

# What systemd would do: directories, user, environment. It has no rights and can get none.
unit=$root/usr/lib/systemd/system/anonymous-domains-gateway.service
user=$(sed -n 's/^User=//p' "$unit")
command=$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$unit")
chroot "$root" install -d -m 700 -o "$user" -g "$user" /var/lib/anonymous-domains
set -a
. "$root/etc/anonymous-domains/gateway.env"
set +a
chroot "$root" setpriv --reuid="$user" --regid="$user" --clear-groups --bounding-set=-all \
    --no-new-privs env --unset=ANONYMOUS_DOMAINS_INTERNAL_LISTEN ANONYMOUS_DOMAINS_LISTEN=127.0.0.1:0 \
    ANONYMOUS_DOMAINS_STATE=/var/lib/anonymous-domains \
    ANONYMOUS_DOMAINS_VARIABLES=/etc/anonymous-domains/settings.toml \
    "$command" >"$root/listening" 2>"$root/log" &
gateway=$!
until grep -q listening "$root/listening"; do
    kill -0 "$gateway" || {
        cat "$root/log"
        exit 1
    }
    sleep 0.2
done
origin=$(sed -n 's/listening on //p' "$root/listening")
url=$origin/flashaccess/domainserver/living-room/
for command in "join $url" verify "leave $url" "join $url"; do
    # shellcheck disable=SC2086
    chroot "$root" domain-device --dir /tmp/device $command
done
chroot "$root" domainctl --server "$origin" \
    --token-file /var/lib/anonymous-domains/admin-token domain list
kill "$gateway"
wait "$gateway"
gateway=
chroot "$root" dpkg --purge anonymous-domains
test -f "$root/var/lib/anonymous-domains/store.db"
echo "the package works on a new Debian $suite"
