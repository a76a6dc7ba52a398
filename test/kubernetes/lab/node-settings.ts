import { DNS_ADDRESS } from './control-plane.ts'
import { NETWORK_PLUGINS } from './programs.ts'

/** The settings of the programs of a node. */

/** Where the runtime gets the image of a pod's own container. */
const PAUSE_IMAGE = 'registry.test/pause:1'

/** containerd's settings with a folder for mirrors, as most clouds write them. */
export function containerdConfig(): string {
  return `version = 3
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '${PAUSE_IMAGE}'
[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = '/etc/containerd/certs.d'
[plugins.'io.containerd.cri.v1.runtime']
  # A machine in a container may not make processes more important.
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['${NETWORK_PLUGINS}']
  conf_dir = '/etc/cni/net.d'
`
}

/** Each pod has a link to its node, which forwards. */
export function networkConfig(pods: string): string {
  const ipam = { type: 'host-local', ranges: [[{ subnet: pods }]], routes: [{ dst: '0.0.0.0/0' }] }
  return JSON.stringify({ cniVersion: '1.0.0', name: 'pods', plugins: [{ type: 'ptp', ipam }] })
}

export function kubeletConfig(node: {
  readonly address: string
  readonly ca: string
  readonly certificate: string
}): string {
  return JSON.stringify({
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: node.address,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: node.ca },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: `${node.certificate}.crt`,
    tlsPrivateKeyFile: `${node.certificate}.key`,
    containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
    // Kubelets that share a machine would remove the control groups of each other's pods.
    cgroupsPerQOS: false,
    enforceNodeAllocatable: [],
    failCgroupV1: false,
    failSwapOn: false,
    // The kubelet ends rather than change the machine.
    protectKernelDefaults: true,
    makeIPTablesUtilChains: false,
    clusterDNS: [DNS_ADDRESS],
    clusterDomain: 'cluster.local',
    resolvConf: '/etc/resolv.conf',
    volumePluginDir: '/var/lib/kubelet/plugins',
    serializeImagePulls: false,
    // The disk of the machine may be as full as it is.
    evictionHard: { 'memory.available': '50Mi', 'nodefs.available': '0%', 'imagefs.available': '0%' },
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
  })
}
