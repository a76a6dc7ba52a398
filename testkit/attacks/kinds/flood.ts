import type { RawHttp2 } from '../../raw-http/raw-http2.ts'
import type { AttackOptions } from '../attack.ts'
import type { ConnectionGroup } from '../connection-group.ts'

/** Limits of a flood: its duration, the units it sends, and the connections it opens one after another. */
export interface FloodOptions extends AttackOptions {
  readonly durationMs?: number | undefined
  readonly maxSent?: number | undefined
  readonly connections?: number | undefined
  /** The flood continues until the server has closed one of its connections, for at most a minute. */
  readonly isUntilCutOff?: boolean | undefined
}

const MAX_FLOOD_MS = 60_000
const CHECK_INTERVAL_MS = 20

/**
 * Sends batches as fast as the connection accepts them, and opens a new connection when the server has closed one.
 * Returns how many units were sent, on how many connections.
 */
export async function flood(
  group: ConnectionGroup,
  {
    signal,
    onEstablished,
    durationMs = 1000,
    maxSent = 200_000,
    connections = 200,
    isUntilCutOff = false,
  }: FloodOptions,
  flooder: {
    open(): Promise<RawHttp2>
    batch(client: RawHttp2): { bytes: Buffer; units: number }
  },
): Promise<{ sent: number; connections: number; failed: number }> {
  const count = { sent: 0, connections: 0, failed: 0 }
  const startedAt = performance.now()
  // A second connection means that the server has closed the first one.
  const isEnough = (): boolean => !isUntilCutOff || count.connections > 1
  const isSpent = (): boolean => {
    const elapsedMs = performance.now() - startedAt
    return elapsedMs >= MAX_FLOOD_MS || (elapsedMs >= durationMs && isEnough())
  }
  const isOver = (): boolean => signal.aborted || isSpent() || (count.sent >= maxSent && isEnough())
  // A send blocks while the server does not read, so this timer ends it by closing the connections.
  const timer = setInterval(() => {
    if (isSpent()) group.close()
  }, CHECK_INTERVAL_MS)
  onEstablished?.()
  while (!isOver() && count.connections + count.failed < connections) {
    let client: RawHttp2
    try {
      client = await flooder.open()
      count.connections += 1
    } catch {
      count.failed += 1
      continue
    }
    const { socket } = client
    while (!isOver() && socket.isOpen && !socket.isOver) {
      const { bytes, units } = flooder.batch(client)
      await socket.send(bytes)
      count.sent += units
      // A server in the same process gets time to run.
      await new Promise((resolve) => setImmediate(resolve))
    }
    socket.close()
  }
  clearInterval(timer)
  group.close()
  return count
}
