import { availableParallelism } from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'
import { run } from '../../../../testkit/programs.ts'
import type { Context } from '../../../context.ts'
import { owning } from '../../../owned.ts'
import { busyBetween, processors } from '../../../processor-use.ts'
import { findProgram } from '../../../program.ts'
import type { Check, Figure } from '../../../report.ts'
import { mean, ratios } from '../../../stats.ts'
import { atBest, BUSY, mbit } from '../lab/measured-pulls.ts'
import type { Pulled } from './machine.ts'
import { leatSide, type Side, spegelSide } from './mirrors.ts'

const NODES = 8
const MIB = 1 << 20
const LAYERS = [7 * MIB, 5 * MIB, 3 * MIB, MIB]
/** Pulled before, so that everything is compiled and has found each other. */
const WARM_UP = [MIB, MIB]
/** With fewer than four cores slower, so that the network is the limit, and not the processors. */
const LINK = 64e6 * Math.min(1, availableParallelism() / 4)
/** Somewhat more than a pull takes that has the link to itself. */
const EVERY_MS = 6000
/** From this one on it tells of each blob, which Spegel waits for. */
const TELLING = { major: 2, minor: 1 }

interface Outcome {
  readonly name: string
  readonly seconds: number
  /** Of each node. */
  readonly each: readonly number[]
  readonly egress: number
  readonly busy: number
}

/** The same image on the same machines, once with Spegel and once with this, pulled by containerd itself. */
export async function rollout(context: Context, entry: string): Promise<void> {
  const [containerd, ctr, spegel] = ['containerd', 'ctr', 'spegel'].map(findProgram)
  if (containerd === undefined || ctr === undefined) {
    tellMissing(context, 'missing: containerd and ctr (Debian package containerd)')
    return
  }
  const version = (await run(containerd, ['--version'])).stdout.trim().split(' ')[2] ?? 'unknown'
  const programs = { containerd, ctr }
  const at = async (start: 'leat' | 'spegel'): Promise<readonly [Outcome, Outcome]> =>
    await owning(async (owned) => {
      const options = { context, owned, nodes: NODES, rate: LINK, programs }
      const ready = await (start === 'leat' ? leatSide(options, entry) : spegelSide(options, spegel ?? ''))
      await pulled(start, ready, WARM_UP, 0)
      return [await pulled(start, ready, LAYERS, 0), await pulled(start, ready, LAYERS, EVERY_MS)]
    })
  if (spegel === undefined) tellMissing(context, 'missing: spegel, a program of that name on the path')
  const theirs = spegel === undefined ? undefined : await at('spegel')
  const ours = await at('leat')
  const notes = [
    `containerd ${version} fetches and verifies; nothing is unpacked`,
    ...(theirs !== undefined && !tells(version)
      ? [`this containerd does not tell Spegel of blobs: it does from ${TELLING.major}.${TELLING.minor} on`]
      : []),
  ]
  const starts = ['at once', `one every ${EVERY_MS / 1000} s`]
  for (const [index, start] of starts.entries()) {
    const outcomes = [ours[index], theirs?.[index]].filter((outcome) => outcome !== undefined)
    tell(context, `${NODES} nodes with containerd, ${start}, all links ${mbit(LINK)}`, outcomes, notes)
  }
}

async function pulled(
  name: string,
  { upstream, machines }: Side,
  layers: readonly number[],
  everyMs: number,
): Promise<Outcome> {
  const image = await upstream.image(layers)
  await upstream.forget()
  const before = processors()
  const pulls: readonly Pulled[] = await Promise.all(
    machines.map(async (machine, at) => {
      await wait(at * everyMs)
      return machine.pull(image)
    }),
  )
  const busy = busyBetween(before, processors())
  const egress = (await upstream.accounts()).egress(image)
  await upstream.drop(image)
  const startedAt = Math.min(...pulls.map((one) => one.startedAt))
  const endedAt = Math.max(...pulls.map((one) => one.endedAt))
  const each = pulls.map((one) => (one.endedAt - one.startedAt) / 1000)
  return { name, seconds: (endedAt - startedAt) / 1000, each, egress, busy }
}

function tell(context: Context, name: string, outcomes: readonly Outcome[], notes: readonly string[]): void {
  const figures: Figure[] = outcomes.flatMap((outcome) => [
    {
      side: `${outcome.name}, until the last node has it`,
      unit: 's',
      values: [outcome.seconds],
      note: `processors ${outcome.busy.toFixed(0)} % busy`,
    },
    { side: `${outcome.name}, what each node waits`, unit: 's', values: outcome.each },
    { side: `${outcome.name}, sent by upstream`, unit: 'x', values: [outcome.egress] },
  ])
  const [ours, theirs] = outcomes
  const checks: Check[] = []
  if (ours !== undefined) {
    checks.push({ label: 'leat: sent by upstream', unit: 'x', values: [ours.egress], atMost: 1 })
  }
  if (ours !== undefined && theirs !== undefined) {
    const values = ratios([mean(ours.each)], [mean(theirs.each)])
    checks.push({ label: 'leat / spegel, what a node waits', unit: 'x', values, atMost: 1 })
  }
  const size = LAYERS.reduce((sum, layer) => sum + layer, 0)
  const best = `${size / MIB} MiB take ${atBest(size, LINK).toFixed(1)} s over one link at best`
  const busy = outcomes.some((outcome) => outcome.busy > BUSY.percent) ? [BUSY.note] : []
  context.report({ name, figures, checks, notes: [best, ...notes, ...busy] })
}

function tells(version: string): boolean {
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(version) ?? []
  return Number(major) > TELLING.major || (Number(major) === TELLING.major && Number(minor) >= TELLING.minor)
}

function tellMissing(context: Context, why: string): void {
  context.report({
    name: `${NODES} nodes with containerd, beside Spegel`,
    figures: [],
    checks: [],
    notes: [why],
  })
}
