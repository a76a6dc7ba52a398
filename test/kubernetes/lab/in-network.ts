import type { LabMachine } from '../../../testkit/lab/network.ts'

/** A command that runs a program in the network of a machine. The process of the command becomes the program. */
export function inNetwork(
  { namespace }: LabMachine,
  path: string,
  args: readonly string[] = [],
): { readonly path: string; readonly args: string[] } {
  return { path: 'nsenter', args: [`--net=/run/netns/${namespace}`, path, ...args] }
}
