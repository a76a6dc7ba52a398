import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { MAIN, runAgent } from '../agent-process.ts'

test('agent dht runs until SIGTERM or SIGINT', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const child = spawn(process.execPath, [MAIN, 'dht', '--listen', '127.0.0.1:0'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    t.after(() => child.kill('SIGKILL'))
    const closed = once(child, 'close')
    const [line] = await once(createInterface({ input: child.stderr }), 'line')
    const [, address = ''] =
      /^DHT bootstrap node listening on (127\.0\.0\.1:\d+) \(UDP\)$/.exec(line) ?? assert.fail(line)
    const taken = await runAgent(['dht', '--listen', address])
    assert.equal(taken.code, 1)
    assert.match(
      taken.err,
      /^agent: the DHT cannot listen on 127\.0\.0\.1:\d+ \(EADDRINUSE\): stop the process that uses this port, or [^\n]+\n$/,
    )
    child.kill(signal)
    assert.deepEqual(await closed, [0, null])
  }
})

test('an invalid address is wrong usage', async () => {
  const { code, err } = await runAgent(['dht', '--listen', 'here'])
  assert.equal(code, 2)
  assert.equal(err, 'agent: --listen is "here"; expected host:port, such as 0.0.0.0:49737\n')
})
