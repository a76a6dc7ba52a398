import { availableParallelism } from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'
import { run } from '../../../../testkit/programs.ts'
import type { Context } from '../../../context.ts'
import { busyBetween, processors } from '../../../processor-use.ts'
import { findProgram } from '../../../program.ts'
import type { Check, Figure } from '../../../report.ts'
import { withResources } from '../../../resources.ts'
import { mean, ratios } from '../../../stats.ts'
import { BUSY, mbit, secondsAt } from '../lab/measured-pulls.ts'
import type { TimedPull } from './containerd.ts'
import { type MirroredCluster, startWithLeat, startWithSpegel } from './mirrors.ts'

const NODES = 8
const MIB = 1 << 20
const LAYERS = [7 * MIB, 5 * MIB, 3 * MIB, MIB]
/** Pulled first, so that all code is compiled and all members are connected. */
const WARM_UP = [MIB, MIB]
/** Slower with fewer than four cores, so that the network is the limit and not the processors. */
const LINK = 64e6 * Math.min(1, availableParallelism() / 4)
/** Somewhat more than a pull takes that shares its link with no other. */
const EVERY_MS = 6000
/** The first version of containerd that has events for blobs, which Spegel needs. */
const BLOB_EVENTS_SINCE = { major: 2, minor: 1 }

interface Outcome {
  readonly name: string
  readonly seconds: number
  /** How long the pull of each node took. */
  readonly each: readonly number[]
  readonly copiesSent: number
  readonly busy: number
}

/** containerd on each node pulls the same image, with Spegel as its mirror and with the agent. */
export async function rollout(context: Context, entry: string): Promise<void> {
  const [containerd, ctr, spegel] = ['containerd', 'ctr', 'spegel'].map(findProgram)
  if (containerd === undefined || ctr === undefined) {
    reportMissing(context, 'missing: containerd and ctr (Debian package containerd)')
    return
  }
  const version = (await run(containerd, ['--version'])).stdout.trim().split(' ')[2] ?? 'unknown'
  const programs = { containerd, ctr }
  const measure = async (name: 'leat' | 'spegel'): Promise<readonly [Outcome, Outcome]> =>
    await withResources(async (resources) => {
      const options = { context, resources, nodes: NODES, rate: LINK, programs }
      const cluster = await (name === 'leat'
        ? startWithLeat(options, entry)
        : startWithSpegel(options, spegel ?? ''))
      await pullOnAll(name, cluster, WARM_UP, 0)
      return [await pullOnAll(name, cluster, LAYERS, 0), await pullOnAll(name, cluster, LAYERS, EVERY_MS)]
    })
  if (spegel === undefined) reportMissing(context, 'missing: spegel, a program of that name on the path')
  const withSpegel = spegel === undefined ? undefined : await measure('spegel')
  const withLeat = await measure('leat')
  const notes = [
    `containerd ${version} fetches and verifies; nothing is unpacked`,
    ...(withSpegel !== undefined && !hasBlobEvents(version)
      ? [
          `this containerd has no events for blobs, which Spegel needs: they exist since ${BLOB_EVENTS_SINCE.major}.${BLOB_EVENTS_SINCE.minor}`,
        ]
      : []),
  ]
  const starts = ['at once', `one every ${EVERY_MS / 1000} s`]
  for (const [index, start] of starts.entries()) {
    const outcomes = [withLeat[index], withSpegel?.[index]].filter((outcome) => outcome !== undefined)
    reportOutcomes(
      context,
      `${NODES} nodes with containerd, ${start}, all links ${mbit(LINK)}`,
      outcomes,
      notes,
    )
  }
}

async function pullOnAll(
  name: string,
  { upstream, runtimes }: MirroredCluster,
  layers: readonly number[],
  everyMs: number,
): Promise<Outcome> {
  const image = await upstream.makeImage(layers)
  await upstream.resetTraffic()
  const before = processors()
  const pulls: readonly TimedPull[] = await Promise.all(
    runtimes.map(async (runtime, at) => {
      await wait(at * everyMs)
      return runtime.pull(image)
    }),
  )
  const busy = busyBetween(before, processors())
  const copiesSent = (await upstream.traffic()).copiesSent(image)
  await upstream.drop(image)
  const startedAt = Math.min(...pulls.map((one) => one.startedAt))
  const endedAt = Math.max(...pulls.map((one) => one.endedAt))
  const each = pulls.map((one) => (one.endedAt - one.startedAt) / 1000)
  return { name, seconds: (endedAt - startedAt) / 1000, each, copiesSent, busy }
}

function reportOutcomes(
  context: Context,
  name: string,
  outcomes: readonly Outcome[],
  notes: readonly string[],
): void {
  const figures: Figure[] = outcomes.flatMap((outcome) => [
    {
      side: `${outcome.name}, until the last node has the image`,
      unit: 's',
      values: [outcome.seconds],
      note: `processors ${outcome.busy.toFixed(0)} % busy`,
    },
    { side: `${outcome.name}, time of each node`, unit: 's', values: outcome.each },
    { side: `${outcome.name}, sent by upstream`, unit: 'x', values: [outcome.copiesSent] },
  ])
  const [leat, spegel] = outcomes
  const checks: Check[] = []
  if (leat !== undefined) {
    checks.push({ label: 'leat: sent by upstream', unit: 'x', values: [leat.copiesSent], atMost: 1 })
  }
  if (leat !== undefined && spegel !== undefined) {
    const values = ratios([mean(leat.each)], [mean(spegel.each)])
    checks.push({ label: 'leat / spegel, mean time of a node', unit: 'x', values, atMost: 1 })
  }
  const size = LAYERS.reduce((sum, layer) => sum + layer, 0)
  const best = `${size / MIB} MiB take ${secondsAt(size, LINK).toFixed(1)} s over one link at best`
  const busy = outcomes.some((outcome) => outcome.busy > BUSY.percent) ? [BUSY.note] : []
  context.report({ name, figures, checks, notes: [best, ...notes, ...busy] })
}

function hasBlobEvents(version: string): boolean {
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(version) ?? []
  return (
    Number(major) > BLOB_EVENTS_SINCE.major ||
    (Number(major) === BLOB_EVENTS_SINCE.major && Number(minor) >= BLOB_EVENTS_SINCE.minor)
  )
}

function reportMissing(context: Context, why: string): void {
  context.report({
    name: `${NODES} nodes with containerd, beside Spegel`,
    figures: [],
    checks: [],
    notes: [why],
  })
}
