import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type MachineProcess, startMachineProcess } from '../../testkit/lab/machine-process.ts'
import { namesOf, removeLeftovers } from '../../testkit/lab/namespaces.ts'
import { type LabMachine, Network, type Rate } from '../../testkit/lab/network.ts'
import { requireNamespaces } from '../../testkit/lab/start-lab.ts'

const SMALL_LAB = fileURLToPath(new URL('../../testkit/lab/programs/small-lab-program.js', import.meta.url))
const PORT = 7000
const MBIT = 1e6
const BLOCKED_MS = 500
/** Only a process that hangs takes so long, however busy the machine is. */
const CONNECT_MS = 60_000
const STOPPED_MS = 60_000
const ENDED_MS = 60_000

interface Endpoint {
  readonly machine: LabMachine
  readonly process: MachineProcess
}

/** Starts machines with a process each that discards what is sent to it. */
async function startEndpoints(t: TestContext, rates: readonly (Rate | undefined)[]) {
  const network = new Network()
  t.after(() => network.close())
  const all = rates.map((rate, at): Endpoint => {
    const machine = network.addMachine(`machine-${at}`, rate)
    return { machine, process: startMachineProcess(machine) }
  })
  await Promise.all(all.map(({ process }) => process.ask('discard', PORT)))
  t.after(() => Promise.all(all.map(({ process }) => process.stop())))
  const endpoint = (at: number): Endpoint => {
    const found = all[at]
    assert.ok(found)
    return found
  }
  /** Bits per second of the bytes sent, without headers. */
  const rateOf = async (from: number, to: number, bytes: number): Promise<number> => {
    const ms = await endpoint(from).process.ask('send', {
      host: endpoint(to).machine.address,
      port: PORT,
      bytes,
    })
    return (bytes * 8000) / ms
  }
  const reaches = (from: number, to: number, ms = CONNECT_MS): Promise<boolean> =>
    endpoint(from).process.ask('connect', { host: endpoint(to).machine.address, port: PORT, ms })
  /** Whether no connection is opened for a while. */
  const isBlocked = async (from: number, to: number): Promise<boolean> =>
    !(await reaches(from, to, BLOCKED_MS))
  return { network, endpoint, rateOf, reaches, isBlocked }
}

/** The bench measures how close a rate comes to its limit, because other tests may use the processors meanwhile. */
function assertNoFaster(rate: number, link: Rate, what: string): void {
  assert.ok(rate < 1.02 * link, `${what}: ${((100 * rate) / link).toFixed(1)} % of what it should be`)
}

test('a link is no faster than its rate, in each direction', async (t) => {
  if (!requireNamespaces(t)) return
  const { network, endpoint, rateOf } = await startEndpoints(t, [32 * MBIT, 400 * MBIT, 400 * MBIT])

  await t.test('when it sends', async () => {
    assertNoFaster(await rateOf(0, 1, 4e6), 32 * MBIT, 'to the switch')
  })
  await t.test('when it receives', async () => {
    assertNoFaster(await rateOf(1, 0, 4e6), 32 * MBIT, 'from the switch')
  })
  await t.test('when it sends and receives at once', async () => {
    const [out, back] = await Promise.all([rateOf(0, 1, 4e6), rateOf(2, 0, 4e6)])
    assertNoFaster(out, 32 * MBIT, 'to the switch')
    assertNoFaster(back, 32 * MBIT, 'from the switch')
  })
  await t.test('when two machines send to it', async () => {
    const startedAt = performance.now()
    await Promise.all([rateOf(1, 0, 2e6), rateOf(2, 0, 2e6)])
    const rate = (4e6 * 8000) / (performance.now() - startedAt)
    assertNoFaster(rate, 32 * MBIT, 'from the switch')
  })
  await t.test('after its rate was changed', async () => {
    network.setRate(endpoint(0).machine, 16 * MBIT)
    assertNoFaster(await rateOf(1, 0, 2e6), 16 * MBIT, 'from the switch')
  })
})

test('the bytes on a link are counted', async (t) => {
  if (!requireNamespaces(t)) return
  const { network, endpoint, rateOf } = await startEndpoints(t, [undefined, undefined])
  const before = network.traffic(endpoint(0).machine)
  await rateOf(0, 1, 5e6)
  const after = network.traffic(endpoint(0).machine)
  const sent = after.sent - before.sent
  // The link also carries headers and retransmissions.
  assert.ok(sent >= 5e6 && sent < 5e6 * 1.5, `${sent} bytes were sent`)
  assert.ok(after.received - before.received < sent / 2)
})

test('no machine is reached over a link that is cut, until it is mended', async (t) => {
  if (!requireNamespaces(t)) return
  const { network, endpoint, reaches, isBlocked } = await startEndpoints(t, [undefined, undefined, undefined])
  assert.ok(await reaches(0, 1))
  network.cut(endpoint(1).machine)
  assert.deepEqual(await Promise.all([isBlocked(0, 1), isBlocked(1, 2), reaches(0, 2)]), [true, true, true])
  network.mend(endpoint(1).machine)
  assert.deepEqual(await Promise.all([reaches(0, 1), reaches(1, 2)]), [true, true])
})

test('a partition separates only its groups, until it is healed', async (t) => {
  if (!requireNamespaces(t)) return
  const { network, endpoint, reaches, isBlocked } = await startEndpoints(t, [
    undefined,
    undefined,
    undefined,
    undefined,
  ])
  const [a, b, c] = [endpoint(0).machine, endpoint(1).machine, endpoint(2).machine]
  network.partition([a, b], [c])
  assert.deepEqual(
    await Promise.all([isBlocked(0, 2), isBlocked(2, 1)]),
    [true, true],
    'from one group to another',
  )
  assert.ok(await reaches(0, 1), 'within a group')
  assert.deepEqual(await Promise.all([reaches(0, 3), reaches(3, 2)]), [true, true], 'a machine in no group')
  network.heal()
  assert.deepEqual(await Promise.all([reaches(0, 2), reaches(2, 1)]), [true, true])
})

test('a partition stops a transfer, which continues when it is healed', async (t) => {
  if (!requireNamespaces(t)) return
  const { network, endpoint, rateOf } = await startEndpoints(t, [8 * MBIT, undefined])
  const [from, to] = [endpoint(0).machine, endpoint(1).machine]
  const received = (): number => network.traffic(to).received
  const bytes = 30e6
  const sent = rateOf(0, 1, bytes)
  while (received() < 1e5) await delay(10)
  network.partition([from], [to])
  // Packets that are in queues still arrive.
  const deadline = Date.now() + STOPPED_MS
  for (let before = Number.NEGATIVE_INFINITY; received() - before > 5000; ) {
    assert.ok(Date.now() < deadline, 'the transfer does not stop')
    before = received()
    await delay(400)
  }
  assert.ok(received() < bytes, 'the transfer has ended before the partition')
  network.heal()
  network.setRate(from, 400 * MBIT)
  assert.ok((await sent) > 0)
})

/** Whether a process runs. One that has ended and was not waited for yet does not. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

test('nothing is left of a network', async (t) => {
  if (!requireNamespaces(t)) return
  const ended = async (how: string, signal?: NodeJS.Signals): Promise<void> => {
    const child = spawn(process.execPath, [SMALL_LAB, how], { stdio: ['pipe', 'pipe', 'ignore'] })
    try {
      const exited = once(child, 'exit')
      const [output] = await once(child.stdout, 'data')
      const { prefix, pid } = JSON.parse(String(output))
      assert.equal(namesOf(prefix).length, 2, 'the switch and a machine')
      child.stdin.on('error', () => {})
      if (signal === undefined) child.stdin.write('now')
      else child.kill(signal)
      await exited
      // Namespaces of a killed process are removed when any process makes new ones.
      if (signal === 'SIGKILL') removeLeftovers()
      assert.deepEqual(namesOf(prefix), [])
      const deadline = Date.now() + ENDED_MS
      while (isRunning(pid)) {
        assert.ok(Date.now() < deadline, 'the process on the machine still runs')
        await delay(10)
      }
    } finally {
      child.kill('SIGKILL')
    }
  }

  await t.test('that was closed', () => ended('close'))
  await t.test('whose process failed', () => ended('fail'))
  await t.test('whose process was ended by a signal', () => ended('wait', 'SIGTERM'))
  await t.test('whose process was killed, when another process makes namespaces', () =>
    ended('wait', 'SIGKILL'),
  )
})
