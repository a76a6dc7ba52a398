import type { RawHttp2 } from '../../raw-http/raw-http2.ts'
import type { AttackOptions } from '../attack.ts'
import type { Crowd } from '../crowd.ts'

/** A flood lasts for so long, and sends so much at most, over so many connections one after another. */
export interface FloodOptions extends AttackOptions {
  readonly ms?: number | undefined
  readonly most?: number | undefined
  readonly connections?: number | undefined
  /** The flood goes on until the server has ended one of its connections, for a minute at most. */
  readonly isUntilCutOff?: boolean | undefined
}

const LONGEST_MS = 60_000
const LOOK_MS = 20

/**
 * Sends batch after batch as fast as the connection takes them, on a new connection when the server has closed one.
 * Gives how many things were sent, and over how many connections.
 */
export async function flood(
  crowd: Crowd,
  { signal, onInPlace, ms = 1000, most = 200_000, connections = 200, isUntilCutOff = false }: FloodOptions,
  one: {
    open(): Promise<RawHttp2>
    batch(client: RawHttp2): { bytes: Buffer; things: number }
  },
): Promise<{ sent: number; connections: number; failed: number }> {
  const count = { sent: 0, connections: 0, failed: 0 }
  const begun = performance.now()
  // A new connection is opened when the server has ended the one before.
  const isEnough = (): boolean => !isUntilCutOff || count.connections > 1
  const isSpent = (): boolean => {
    const lasted = performance.now() - begun
    return lasted >= LONGEST_MS || (lasted >= ms && isEnough())
  }
  const isOver = (): boolean => signal.aborted || isSpent() || (count.sent >= most && isEnough())
  // A server that has stopped reading would hold it up for longer.
  const timer = setInterval(() => {
    if (isSpent()) crowd.close()
  }, LOOK_MS)
  onInPlace?.()
  while (!isOver() && count.connections + count.failed < connections) {
    let client: RawHttp2
    try {
      client = await one.open()
      count.connections += 1
    } catch {
      count.failed += 1
      continue
    }
    const { socket } = client
    while (!isOver() && socket.isOpen && !socket.isOver) {
      const { bytes, things } = one.batch(client)
      await socket.send(bytes)
      count.sent += things
      // Lets a server in the same process do its part.
      await new Promise((resolve) => setImmediate(resolve))
    }
    socket.close()
  }
  clearInterval(timer)
  crowd.close()
  return count
}
