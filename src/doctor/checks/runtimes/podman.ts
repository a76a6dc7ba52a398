import * as v from 'valibot'
import { plain } from '../../../observe/text.ts'
import { type Finding, notChecked, ok, problem } from '../../tools/finding.ts'
import { type ProgramResult, runProgram } from '../../tools/run-program.ts'

/** The registries by prefix; `search`, a list, is among them. */
const Registries = v.pipe(v.string(), v.parseJson(), v.nullable(v.record(v.string(), v.unknown())))
const Registry = v.object({ Mirrors: v.nullable(v.array(v.object({ Location: v.string() }))) })

/** Asks podman for its effective settings. CRI-O reads the same files, but does not report its settings. */
export async function queryPodman(options: { root: string; signal: AbortSignal }): Promise<ProgramResult> {
  if (options.root !== '/') return { kind: 'absent' }
  return await runProgram('podman', ['info', '--format', '{{json .Registries}}'], options)
}

/** Applies only if the settings of podman and CRI-O use the agent. */
export function judgePodman(result: ProgramResult, { address }: { address: string }): readonly Finding[] {
  if (result.kind === 'absent') return []
  const registries = v.safeParse(Registries, result.kind === 'output' ? result.text : '')
  if (result.kind === 'failed' || !registries.success) {
    const why = result.kind === 'failed' ? `: ${plain(result.why)}` : ''
    return [notChecked('podman-unknown', `podman does not report its mirrors${why}`, 'run podman info')]
  }
  const mirrored = Object.entries(registries.output ?? {}).filter(([, value]) => {
    const registry = v.safeParse(Registry, value)
    return (
      registry.success &&
      registry.output.Mirrors?.some(({ Location }) => Location.startsWith(`${address}/`)) === true
    )
  })
  if (mirrored.length > 0) {
    const prefixes = plain(mirrored.map(([prefix]) => prefix).join(', '))
    return [ok('podman-uses-agent', `podman uses ${address} as a mirror (${prefixes})`)]
  }
  return [
    problem(
      'podman-reads-other-file',
      `podman does not use ${address} as a mirror, though the settings of the host do`,
      {
        means:
          'podman reads another file: that of the user (~/.config/containers/registries.conf), or the one in CONTAINERS_REGISTRIES_CONF',
        todo: 'remove that file, or add the mirrors to it',
      },
    ),
  ]
}
