import * as v from 'valibot'
import { plain } from '../../observe/text.ts'
import { type Finding, notChecked, ok, problem } from '../tools/finding.ts'
import { type ProgramResult, runProgram } from '../tools/run-program.ts'

const Mirrors = v.pipe(v.string(), v.parseJson(), v.nullable(v.array(v.string())))

/** Asks the running dockerd for its mirrors. */
export async function queryDocker(options: { root: string; signal: AbortSignal }): Promise<ProgramResult> {
  if (options.root !== '/') return { kind: 'absent' }
  return await runProgram('docker', ['info', '--format', '{{json .RegistryConfig.Mirrors}}'], options)
}

/** Applies only if Docker's settings use the agent. */
export function judgeDocker(result: ProgramResult, { address }: { address: string }): readonly Finding[] {
  if (result.kind === 'absent') return []
  const mirrors = v.safeParse(Mirrors, result.kind === 'output' ? result.text : '')
  if (result.kind === 'failed' || !mirrors.success) {
    const why = result.kind === 'failed' ? `: ${plain(result.why)}` : ''
    return [
      notChecked(
        `dockerd does not report its mirrors${why}`,
        'run docker info as a user with access to the socket of Docker',
      ),
    ]
  }
  const hasMirror =
    mirrors.output?.some((mirror) => mirror.replace(/\/$/, '').endsWith(`//${address}`)) === true
  if (hasMirror) return [ok(`the running dockerd has ${address} among its mirrors`)]
  return [
    problem(`the running dockerd does not have ${address} among its mirrors`, {
      means:
        'dockerd has not read /etc/docker/daemon.json since the last change, and pulls directly from Docker Hub',
      todo: 'systemctl reload docker',
    }),
  ]
}
