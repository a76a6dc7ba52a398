# Runs what it is given and stays when that has succeeded: a container of a DaemonSet that ends is started again, and a
# sleeping shell takes less of a node than Node does.
trap 'kill $!; exit 0' TERM INT
"$@" &
wait $! || exit 1
sleep infinity &
wait $!
