import { type MachineProcess, startMachineProcess } from '../../../../testkit/lab/machine-process.ts'
import { Network, type Rate } from '../../../../testkit/lab/network.ts'
import type { Context } from '../../../context.ts'
import { withResources } from '../../../resources.ts'
import { mbit } from './measured-pulls.ts'

const PORT = 7000
const BYTES = 8e6
const LINK: Rate = 32e6
const FASTER: Rate = 400e6

/** The other rows assume that a link of the lab has its rate, in each direction and in both at once. */
export function linkRate(context: Context): Promise<void> {
  return withResources(async (resources) => {
    const network = new Network()
    resources.add({ stop: async () => network.close() })
    const [one, other, third] = [LINK, FASTER, FASTER].map((rate, at) => {
      const machine = network.addMachine(`machine-${at}`, rate)
      return {
        address: machine.address,
        process: resources.add<MachineProcess>(startMachineProcess(machine)),
      }
    })
    if (one === undefined || other === undefined || third === undefined) return
    await Promise.all([one, other, third].map(({ process }) => process.ask('discard', PORT)))
    /** The rate of the bytes without headers, over the rate of the link. */
    const relativeRate = async (from: typeof one, to: typeof one): Promise<number> => {
      const ms = await from.process.ask('send', { host: to.address, port: PORT, bytes: BYTES })
      return (BYTES * 8000) / ms / LINK
    }
    const values = [await relativeRate(one, other), await relativeRate(other, one)]
    values.push(...(await Promise.all([relativeRate(one, other), relativeRate(third, one)])))
    context.report({
      name: `a link of ${mbit(LINK)} of the lab: sending, receiving, and both at once`,
      figures: [],
      checks: [{ label: 'rate of bytes / rate of the link', unit: 'x', values, atLeast: 0.9, atMost: 1.02 }],
      notes: [],
    })
  })
}
