import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkKubelet, judgeKubelet } from '../../../../src/doctor/checks/kubelet/kubelet.ts'
import { thresholdsOf } from '../../../../src/doctor/checks/kubelet/thresholds.ts'
import { Host } from '../../../runtimes/host.ts'
import { findingLines } from '../../finding-lines.ts'

const GIB = 1024 ** 3
const TOTAL = 100 * GIB

test('without a configuration the kubelet has its defaults; a given list of evictions has no defaults', () => {
  assert.deepEqual(thresholdsOf({}), {
    node: [{ percent: 10 }],
    images: [{ percent: 15 }, { percent: 15 }],
  })
  const given = {
    imageGCHighThresholdPercent: 70,
    evictionHard: { 'nodefs.available': '1Gi', 'memory.available': '100Mi' },
  }
  assert.deepEqual(thresholdsOf(given), { node: [{ bytes: GIB }], images: [{ percent: 30 }] })
})

test('an agent that leaves less free than the kubelet wants is a warning, with the value to set', () => {
  const context = { data: '/data', totalBytes: TOTAL }
  const wanted = [{ percent: 10 }, { percent: 15 }]
  const [finding] = judgeKubelet(wanted, { ...context, minFree: { percent: 10 } })
  assert.equal(finding?.id, 'kubelet-thresholds')
  assert.match(finding.found, /wants 15.0 GiB .* leaves only 10.0 GiB free/)
  assert.match(finding.todo ?? '', /--min-free to more than 15%/)
  assert.equal(judgeKubelet(wanted, { ...context, minFree: { percent: 20 } })[0]?.state, 'ok')
  assert.deepEqual(judgeKubelet([], { ...context, minFree: { bytes: 0 } }), [])
})

test('the kubelet of a node is found by its configuration, and only its own filesystems count', async (t) => {
  const none = await Host.make(t, { '/data/x': '', '/var/lib/kubelet/x': '' })
  const check = (host: Host, minFree: { percent: number }) =>
    checkKubelet(`${host.root}/data`, { root: host.root, minFree }, TOTAL)
  assert.deepEqual(await check(none, { percent: 1 }), [])
  const kubeadm = await Host.make(t, {
    '/data/x': '',
    '/var/lib/kubelet/config.yaml':
      'kind: KubeletConfiguration\nimageGCHighThresholdPercent: 80\nevictionHard: { nodefs.available: 5% }\n',
  })
  assert.match(findingLines(await check(kubeadm, { percent: 5 }))[0] ?? '', /wants 5.0 GiB/)
  const k3s = await Host.make(t, {
    '/data/x': '',
    '/var/lib/kubelet/x': '',
    '/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/00-k3s-defaults.conf':
      'evictionHard: { nodefs.available: 5%, imagefs.available: 5% }\n',
  })
  assert.match(findingLines(await check(k3s, { percent: 10 }))[0] ?? '', /wants 15.0 GiB/)
  const broken = await Host.make(t, {
    '/data/x': '',
    '/var/lib/kubelet/config.yaml': 'imageGCHighThresholdPercent: lots\n',
  })
  assert.match(findingLines(await check(broken, { percent: 10 }))[0] ?? '', /^not-checked: .*config\.yaml/)
})
