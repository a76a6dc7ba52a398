import type { Context } from '../../context.ts'
import type { Check, Figure } from '../../report.ts'
import { ratios } from '../../stats.ts'
import { BLOBS_PER_SECOND, type Hits, MANIFESTS_PER_SECOND, SETTLE_MS } from './hits.ts'

/** How much slower a hit may become. */
const MAX_RATIO = 1.5
const ROUND_MS = 1500
const WARM_MS = 500
const KINDS = [
  { kind: 'manifest', what: `manifest, ${MANIFESTS_PER_SECOND}/s` },
  { kind: 'blob', what: `blob of 1 MiB, ${BLOBS_PER_SECOND}/s` },
] as const
const POINTS = [
  { at: 'p50', title: 'median' },
  { at: 'p99', title: '99th percentile' },
] as const

/** A state of the store, such as evicting. */
export interface State {
  readonly name: string
  /** Measures hits in this state for `ms`. */
  measure(ms: number): Promise<Hits>
  /** The state that it is compared with. */
  readonly against?: { readonly name: string; readonly label: string }
}

/** How many turns each state has, including the first one, which is not counted. */
export function turnsOf({ repetitions }: Context): number {
  return 1 + repetitions
}

/** The duration of the longest turn. */
export const TURN_MS = SETTLE_MS + ROUND_MS

export interface Comparison {
  readonly name: string
  readonly states: readonly State[]
  readonly figures?: readonly Figure[]
  readonly notes?: readonly string[]
}

/** Measures the states in turn, in alternating order, so that no state is always the first. */
export async function compare(
  context: Context,
  { name, states, figures = [], notes = [] }: Comparison,
): Promise<void> {
  const measured = new Map(states.map((state) => [state.name, [] as Hits[]]))
  for (let turn = 0; turn < turnsOf(context); turn++) {
    for (const state of turn % 2 === 0 ? states : states.toReversed()) {
      const got = await state.measure(turn === 0 ? WARM_MS : ROUND_MS)
      if (turn > 0) measured.get(state.name)?.push(got)
    }
  }
  for (const { kind, what } of KINDS) {
    const values = (state: string, at: 'p50' | 'p99'): number[] =>
      (measured.get(state) ?? []).map((hits) => hits[kind].latencyMs[at])
    const checks: Check[] = POINTS.flatMap(({ at, title }) =>
      states.flatMap(({ name: state, against }) =>
        against === undefined
          ? []
          : [
              {
                label: `${against.label}, ${title}`,
                unit: 'x',
                values: ratios(values(state, at), values(against.name, at)),
                atMost: MAX_RATIO,
              },
            ],
      ),
    )
    const latencies = states.flatMap(({ name: state }) =>
      POINTS.map(({ at, title }) => ({ side: `${state}, ${title}`, unit: 'ms', values: values(state, at) })),
    )
    context.report({ name: `${name}: ${what}`, figures: [...latencies, ...figures], checks, notes })
  }
}
