import assert from 'node:assert/strict'
import { test } from 'node:test'
import { announce } from '../../../src/cli/serve/announce.ts'
import { loadSettings } from '../../../src/config/load.ts'
import type { Log } from '../../../src/observe/log/log.ts'
import { startAgent, startUpstream } from '../../agent/running-agent.ts'

test('a person who starts the agent on a terminal is told how to try it, and the address of the page', async (t) => {
  const { agent } = await startAgent(t, { upstream: await startUpstream(t) })
  const { registry, admin } = agent.addresses
  const settings = await loadSettings({ flags: {}, env: {}, defaultFile: '/none/config.yaml' })
  const logged: string[] = []
  const note = (message: string): void => {
    logged.push(message)
  }
  const log: Log = { info: note, warn: note, setLevel: () => {}, close: () => {} }
  for (const isInteractive of [true, false]) {
    let told = ''
    await announce(agent, settings, log, {
      out: async (text) => {
        told += text
      },
      err: async () => {},
      isInteractive,
      columns: 80,
      rows: 24,
      env: {},
      version: '1.2.3',
      stopped: () => new AbortController().signal,
    })
    const lines = [
      `Leat serves images at http://127.0.0.1:${registry.port} (press Ctrl-C to stop). Try it from another terminal:`,
      `  podman pull --tls-verify=false 127.0.0.1:${registry.port}/docker.io/library/alpine`,
      `  docker pull 127.0.0.1:${registry.port}/docker.io/library/alpine`,
      `See what it does at http://127.0.0.1:${admin?.port}/, or with agent status.`,
      '',
    ]
    assert.equal(told, isInteractive ? lines.join('\n') : '')
  }
  assert.equal(logged.filter((message) => message === 'serving').length, 2)
})
