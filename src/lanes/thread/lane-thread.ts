import { parentPort, workerData } from 'node:worker_threads'
import type { LaneCommand, LaneData } from './messages.ts'
import { ThreadConnections } from './thread-connections.ts'
import { ThreadFiles } from './thread-files.ts'

// The program of a lane: it reads responses into the shared memory, and hashes and writes what is in it. Files are handled by
// synchronous calls on purpose: a write into the page cache takes less time than a trip through the thread pool. Each piece of
// work is bounded by the memory that the main thread has lent, so that files and sockets take turns.

if (parentPort === null) throw new Error('this file is the program of a lane')
const { memory } = workerData as LaneData
const files = new ThreadFiles(memory)
const connections = new ThreadConnections()

parentPort.on('message', (command: LaneCommand) => {
  if ('file' in command) files.obey(command)
  else connections.obey(command)
})
