import * as v from 'valibot'
import { plain } from '../../observe/text.ts'
import { askProgram, type Told } from '../tools/ask-program.ts'
import { type Finding, notLookedAt, ok, problem } from '../tools/finding.ts'

const Mirrors = v.pipe(v.string(), v.parseJson(), v.nullable(v.array(v.string())))

/** The mirrors that the running dockerd has. */
export async function seeDocker(options: { root: string; signal: AbortSignal }): Promise<Told> {
  if (options.root !== '/') return { kind: 'absent' }
  return await askProgram('docker', ['info', '--format', '{{json .RegistryConfig.Mirrors}}'], options)
}

/** Only of interest when its file points at the agent. */
export function judgeDocker(told: Told, { address }: { address: string }): readonly Finding[] {
  if (told.kind === 'absent') return []
  const mirrors = v.safeParse(Mirrors, told.kind === 'text' ? told.text : '')
  if (told.kind === 'failed' || !mirrors.success) {
    const why = told.kind === 'failed' ? `: ${plain(told.why)}` : ''
    return [notLookedAt(`dockerd does not tell which mirrors it has${why}`, 'docker info, as a user who may')]
  }
  const has = mirrors.output?.some((mirror) => mirror.replace(/\/$/, '').endsWith(`//${address}`)) === true
  if (has) return [ok(`dockerd itself says that it asks ${address}`)]
  return [
    problem(`the running dockerd does not have ${address} among its mirrors`, {
      means:
        'it has not read /etc/docker/daemon.json since that was changed, and pulls from Docker Hub itself',
      todo: 'systemctl reload docker',
    }),
  ]
}
