import type { Server } from 'node:http'

/** How long answers under way may take to end. */
const GRACE_MS = 2000

/** Accepts no more connections, and resolves when all are closed: idle ones at once, the others after the grace. */
export async function stopServer(server: Server, graceMs = GRACE_MS): Promise<void> {
  if (!server.listening) return
  const timer = setTimeout(() => server.closeAllConnections(), graceMs)
  try {
    await new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeIdleConnections()
    })
  } finally {
    clearTimeout(timer)
  }
}
