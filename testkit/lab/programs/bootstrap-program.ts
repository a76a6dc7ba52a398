import DHT from 'hyperdht'
import { serveTasks } from '../remote-process.ts'

/** The DHT node at which all agents of a lab join. */

const tasks = {
  async start({ host, port }: { readonly host: string; readonly port: number }) {
    await DHT.bootstrapper(port, host, { host }).fullyBootstrapped()
  },
}

export type BootstrapTasks = typeof tasks
serveTasks(tasks)
