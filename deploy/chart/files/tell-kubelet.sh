# Runs the agent's command and gives its report to the kubelet, which shows it in the state of the pod's containers.
report=$(agent "$@" 2>&1)
code=$?
printf '%s\n' "$report" | tee /dev/termination-log
exit "$code"
