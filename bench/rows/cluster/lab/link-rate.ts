import { type Hand, handAt } from '../../../../testkit/lab/machine-process.ts'
import { Network, type Rate } from '../../../../testkit/lab/network.ts'
import type { Context } from '../../../context.ts'
import { owning } from '../../../owned.ts'
import { mbit } from './measured-pulls.ts'

const PORT = 7000
const BYTES = 8e6
const LINK: Rate = 32e6
const FASTER: Rate = 400e6

/** What the other rows stand on: a link of the lab is as fast as it is said to be, in both directions and at once. */
export function links(context: Context): Promise<void> {
  return owning(async (owned) => {
    const network = new Network()
    owned.add({ stop: async () => network.close() })
    const [one, other, third] = [LINK, FASTER, FASTER].map((rate, at) => {
      const place = network.join(`spot-${at}`, rate)
      return { address: place.address, hand: owned.add<Hand>(handAt(place)) }
    })
    if (one === undefined || other === undefined || third === undefined) return
    await Promise.all([one, other, third].map(({ hand }) => hand.ask('drain', PORT)))
    /** The part of the link's rate that bytes have gone at, without what they were wrapped in. */
    const rateOf = async (from: typeof one, to: typeof one): Promise<number> => {
      const ms = await from.hand.ask('pour', { host: to.address, port: PORT, bytes: BYTES })
      return (BYTES * 8000) / ms / LINK
    }
    const values = [await rateOf(one, other), await rateOf(other, one)]
    values.push(...(await Promise.all([rateOf(one, other), rateOf(third, one)])))
    context.report({
      name: `a link of ${mbit(LINK)} of the lab: sending, receiving, and both at once`,
      figures: [],
      checks: [{ label: 'bytes over its rate', unit: 'x', values, atLeast: 0.9, atMost: 1.02 }],
      notes: [],
    })
  })
}
