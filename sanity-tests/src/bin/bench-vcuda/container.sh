# Runs a command as in a container with a slice of one card: FOLDER LIBRARY ARBITER LIMITS COMMAND...
# ARBITER is the folder with the arbiter's socket, LIMITS the text of limits.json. Needs root, as mounts do.
set -eu
folder=$1 library=$2 arbiter=$3 limits=$4
shift 4
rm -rf "$folder"
mkdir -p "$folder"
cp -a /etc "$folder/etc"
mkdir -p "$folder/etc/ideal-gpu/arbiter"
cp "$library" "$folder/etc/ideal-gpu/libvcuda.so"
truncate -s "$ACCOUNTING_BYTES" "$folder/etc/ideal-gpu/region"
echo "$limits" >"$folder/etc/ideal-gpu/limits.json"
echo /etc/ideal-gpu/libvcuda.so >"$folder/etc/ld.so.preload"
# shellcheck disable=SC2016 # the inner shell expands them
exec unshare --mount --propagation private sh -c '
mount --bind "$1/etc" /etc
mount --bind "$2" /etc/ideal-gpu/arbiter
shift 2
exec "$@"' sh "$folder" "$arbiter" "$@"
