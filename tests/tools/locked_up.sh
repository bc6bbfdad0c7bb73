# Run "$@" in what a container may be at worst: no network but itself, no root, nothing to write to, no /dev/shm. The
# package, $1, lies at /opt/ml/model.  Usage: unshare --user --map-root-user --mount --net bash locked_up.sh PACKAGE …
set -e
package=$1
shift
ip link set lo up
mount --make-rprivate /
# Only what a program cannot do without of /dev.
mount -t tmpfs none /mnt
for name in null zero urandom random; do touch "/mnt/$name" && mount --bind "/dev/$name" "/mnt/$name"; done
mount --rbind /mnt /dev
mount -t tmpfs none /opt
mkdir -p /opt/ml/model
mount --bind "$package" /opt/ml/model
# Every file system that can be written to becomes one that cannot.
awk '$4 ~ /^rw/ && $2 !~ "^/(proc|sys)" {print $2, $4}' /proc/self/mounts | sort -ru | while read -r place options; do
    kept=$(tr , '\n' <<<"$options" | grep -E '^no(suid|dev|exec|atime|diratime)$|^relatime$' | paste -sd, || true)
    mount -o "remount,bind,ro${kept:+,$kept}" "$place" 2>/dev/null || true  # what lies below the new /dev cannot be reached
done
exec unshare --user --map-user=1000 --map-group=1000 "$@"
