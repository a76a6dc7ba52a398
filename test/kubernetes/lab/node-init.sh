#!/usr/bin/env bash
# Runs as the first process of a node, in namespaces of its own. Makes the mounts of the node, says `node PID`, where PID is its
# process outside, and stays. Arguments: the folder of the node and its name.
set -euo pipefail
folder=$1
# The /proc of the machine is still mounted.
read -r pid _ < /proc/self/stat
hostname "$2"
mount --make-rprivate /

# The node has the programs of the machine, and writes into its own folder.
for name in etc opt var; do
  mkdir -p "$folder/$name/written" "$folder/$name/work"
  mount -t overlay overlay -o "lowerdir=/$name,upperdir=$folder/$name/written,workdir=$folder/$name/work" "/$name"
done
# Overlays cannot hold the layers of images, which are overlays too.
for name in containerd kubelet leat; do
  mkdir -p "$folder/lib/$name" "/var/lib/$name"
  mount --bind "$folder/lib/$name" "/var/lib/$name"
done
mount -t tmpfs -o mode=755 tmpfs /run
mount -t proc proc /proc

# The kubelet sets some of these, which are the machine's. It finds them as it wants them, and nothing on the node can write
# to any but those of the network, which are the node's own.
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount --bind /proc/sys/net /proc/sys/net
mount -o remount,bind,rw /proc/sys/net
while read -r name value; do
  file=$folder/${name##*/}
  echo "$value" > "$file"
  mount --bind "$file" "/proc/sys/$name"
done << 'SYSCTLS'
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
SYSCTLS
echo 1 > /proc/sys/net/ipv4/ip_forward

# Settings of the machine's own runtimes are none of the node's.
rm -rf /etc/containerd /etc/containers /etc/docker /etc/cni
cp -r "$folder/settings/." /etc
mount --make-rshared /
echo "node $pid"
sleep infinity &
wait
