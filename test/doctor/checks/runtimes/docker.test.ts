import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeDocker } from '../../../../src/doctor/checks/runtimes/docker.ts'
import { findingLines } from '../../finding-lines.ts'

const ADDRESS = '127.0.0.1:5050'

test('the mirrors of the running dockerd are judged', () => {
  const judged = (text: string) =>
    findingLines(
      judgeDocker({ kind: 'output', text: `{"RegistryConfig":{"Mirrors":${text}}}` }, { address: ADDRESS }),
    )
  assert.deepEqual(judged(`["http://${ADDRESS}/"]\n`), [
    `ok: the running dockerd has ${ADDRESS} among its mirrors`,
  ])
  const missing = [`problem: the running dockerd does not have ${ADDRESS} among its mirrors`]
  assert.deepEqual(judged('null\n'), missing)
  assert.deepEqual(judged(`["http://1${ADDRESS}/"]`), missing)
  assert.deepEqual(judged('what'), ['not-checked: dockerd does not report its mirrors'])
  assert.deepEqual(
    findingLines(judgeDocker({ kind: 'failed', why: 'permission denied' }, { address: ADDRESS })),
    ['not-checked: dockerd does not report its mirrors: permission denied'],
  )
  assert.deepEqual(judgeDocker({ kind: 'absent' }, { address: ADDRESS }), [])
})

test('a dockerd that keeps images in containerd needs no reload', () => {
  const text = JSON.stringify({
    RegistryConfig: { Mirrors: null },
    DriverStatus: [['driver-type', 'io.containerd.snapshotter.v1']],
  })
  assert.deepEqual(findingLines(judgeDocker({ kind: 'output', text }, { address: ADDRESS })), [
    'ok: the running dockerd keeps images in containerd, and reads hosts.toml files at every pull',
  ])
})
