import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { pullByCri } from '../../runtimes/cri-client.ts'
import { enableHostsFiles, startContainerd } from './host-runtimes.ts'
import { runRuntimeCommand, startInstallLab } from './install-lab.ts'

/** A client that connects to a stopped agent is connected by the kernel, and waits for an answer. */

const ESTABLISHED = '01'

/** Resolves when a client is connected to the port. */
async function untilConnected(port: number): Promise<void> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  const line = new RegExp(`^ *\\d+: 0100007F:${hex} \\S+ ${ESTABLISHED} `, 'm')
  for (const deadline = Date.now() + 120_000; ; await delay(20)) {
    if (line.test(await readFile('/proc/net/tcp', 'latin1'))) return
    if (Date.now() > deadline) throw new Error(`no client has connected to ${port}`)
  }
}

test('a pull that waits for an agent that hangs goes to the registry when that agent is killed', async (t) => {
  const lab = await startInstallLab(t, ['containerd'])
  if (lab === undefined) return
  const { agent, image, upstream } = lab
  const { host, socket } = await startContainerd(t, lab, enableHostsFiles)
  await runRuntimeCommand('install', host, agent.address)
  await upstream.forget()
  agent.signal('SIGSTOP')
  let isPulled = false
  const pulled = pullByCri(socket, `127.0.0.1:${upstream.port}/library/app:v1`).then(() => {
    isPulled = true
  })
  // The promise is awaited below.
  pulled.catch(() => {})
  try {
    await untilConnected(agent.port)
    assert.equal(isPulled, false)
  } finally {
    // A kubelet does this when its probe is not answered.
    agent.signal('SIGKILL')
  }
  const start = performance.now()
  await pulled
  t.diagnostic(`pulled ${(performance.now() - start).toFixed(0)} ms after the agent was killed`)
  for (const { digest } of [image.manifest, ...image.blobs]) assert.equal(await upstream.fetches(digest), 1)
})
