import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventText } from '../../../../src/cli/commands/reports/events.ts'
import { startAgent, startUpstream } from '../../../agent/running-agent.ts'
import { runInProcess } from '../../run-in-process.ts'

test('agent events shows the requests and transfers of a pull as they end, until Ctrl-C', async (t) => {
  const upstream = await startUpstream(t)
  upstream.addImage('app', 'v1')
  const running = await startAgent(t, { upstream })
  const { admin } = running.agent.addresses
  for (const flags of [[], ['--json']]) {
    const ctrlC = new AbortController()
    let shown = ''
    let isFollowing = (): void => {}
    const follows = new Promise<void>((resolve) => {
      isFollowing = resolve
    })
    const command = runInProcess(
      ['events', '--admin', `127.0.0.1:${admin?.port}`, ...flags],
      {},
      {
        signal: ctrlC.signal,
        onOut: (text) => {
          shown += text
          isFollowing()
          if (/v1.*\n/.test(shown)) ctrlC.abort()
        },
      },
    )
    // The text leaves out that nothing happens, so the request is sent until it is shown.
    if (flags.length > 0) await follows
    while (!ctrlC.signal.aborted) await running.get('app/manifests/v1')
    const { code, err } = await command
    assert.deepEqual([code, err], [130, 'agent: interrupted\n'])
    assert.match(
      shown,
      flags.length > 0
        ? /^\{"is":"request",.*"repository":"up\.test\/app","reference":"v1","code":200,/m
        : /^\d\d:\d\d:\d\d {2}200 {2}GET up\.test\/app v1, \d.* from (?:upstream|the store) in \d+ms$/m,
    )
  }
})

test('events are one line each, whatever names contain', () => {
  const at = '2026-11-30T12:34:56.789Z'
  const transfer = {
    is: 'transfer',
    at,
    digest: `sha256:${'a'.repeat(64)}`,
    kind: 'blob',
    repository: 'docker.io/library/alpine',
    size: 2048,
    ms: 12,
    source: 'no\nde\u001b[31m',
    stored: false,
    error: null,
  } as const
  const name = 'docker.io/library/alpine sha256:aaaaaaaaaaaa'
  assert.equal(
    eventText(transfer),
    `12:34:56  got  ${name}, 2.0 KiB from no?de?[31m in 12ms, passed on, not stored`,
  )
  assert.match(eventText({ ...transfer, source: null, error: 'reset' }), / in 12ms, failed: reset$/)
  assert.match(eventText({ is: 'dropped', events: 3 }), /^3 events were left out/)
})
