import * as v from 'valibot'
import { plain } from '../../observe/text.ts'
import { askProgram, type Told } from '../tools/ask-program.ts'
import { type Finding, notLookedAt, ok, problem } from '../tools/finding.ts'

/** By prefix; besides them `search`, a list. */
const Registries = v.pipe(v.string(), v.parseJson(), v.nullable(v.record(v.string(), v.unknown())))
const Registry = v.object({ Mirrors: v.nullable(v.array(v.object({ Location: v.string() }))) })

/** What podman makes of all its files; CRI-O, which reads the same ones, does not tell. */
export async function seePodman(options: { root: string; signal: AbortSignal }): Promise<Told> {
  if (options.root !== '/') return { kind: 'absent' }
  return await askProgram('podman', ['info', '--format', '{{json .Registries}}'], options)
}

/** Only of interest when its files point at the agent. */
export function judgePodman(told: Told, { address }: { address: string }): readonly Finding[] {
  if (told.kind === 'absent') return []
  const registries = v.safeParse(Registries, told.kind === 'text' ? told.text : '')
  if (told.kind === 'failed' || !registries.success) {
    const why = told.kind === 'failed' ? `: ${plain(told.why)}` : ''
    return [notLookedAt(`podman does not tell which mirrors it has${why}`, 'podman info')]
  }
  const pointing = Object.entries(registries.output ?? {}).filter(([, value]) => {
    const registry = v.safeParse(Registry, value)
    return (
      registry.success &&
      registry.output.Mirrors?.some(({ Location }) => Location.startsWith(`${address}/`)) === true
    )
  })
  if (pointing.length > 0) {
    return [
      ok(`podman itself says that it asks ${address} (${plain(pointing.map(([name]) => name).join(', '))})`),
    ]
  }
  return [
    problem(`podman has no mirror at ${address}, though its files do`, {
      means:
        'another file is used: one of the user’s own (~/.config/containers/registries.conf), or CONTAINERS_REGISTRIES_CONF',
      todo: 'take that file away, or put the mirrors into it too',
    }),
  ]
}
