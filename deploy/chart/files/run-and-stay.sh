# Runs a command and stays alive after it has succeeded: a container of a DaemonSet that exits is restarted, and a
# sleeping shell uses less memory than Node.
trap 'kill $!; exit 0' TERM INT
"$@" &
wait $! || exit 1
sleep infinity &
wait $!
