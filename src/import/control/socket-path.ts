import { join } from 'node:path'

/** The socket of the agent that runs on a data folder, in a folder of its own that only the agent's user may enter. */
export function controlSocket(data: string): string {
  return join(data, 'control', 'control.sock')
}
