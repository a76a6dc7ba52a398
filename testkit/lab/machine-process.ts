import { fileURLToPath } from 'node:url'
import type { LabMachine } from './network.ts'
import type { MachineTasks } from './programs/machine-program.ts'
import { RemoteProcess } from './remote-process.ts'

const PROGRAM = fileURLToPath(new URL('./programs/machine-program.js', import.meta.url))

export type MachineProcess = RemoteProcess<MachineTasks>

/** Starts a process on the machine that sends requests and opens connections from there. */
export function startMachineProcess(machine: LabMachine): MachineProcess {
  return new RemoteProcess(machine, PROGRAM)
}
