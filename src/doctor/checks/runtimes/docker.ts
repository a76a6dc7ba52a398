import * as v from 'valibot'
import { plain } from '../../../observe/text.ts'
import { type Finding, notChecked, ok, problem } from '../../tools/finding.ts'
import { type ProgramResult, runProgram } from '../../tools/run-program.ts'

const Info = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({
    RegistryConfig: v.object({ Mirrors: v.nullable(v.array(v.string())) }),
    DriverStatus: v.nullish(v.array(v.array(v.string())), []),
  }),
)
/** In `DriverStatus` of a dockerd that keeps images in containerd, which reads hosts.toml files at every pull. */
const CONTAINERD_STORE = 'io.containerd.snapshotter.v1'

/** Asks the running dockerd for its mirrors. */
export async function queryDocker(options: { root: string; signal: AbortSignal }): Promise<ProgramResult> {
  if (options.root !== '/') return { kind: 'absent' }
  return await runProgram('docker', ['info', '--format', '{{json .}}'], options)
}

/** Applies only if Docker's settings use the agent. */
export function judgeDocker(result: ProgramResult, { address }: { address: string }): readonly Finding[] {
  if (result.kind === 'absent') return []
  const info = v.safeParse(Info, result.kind === 'output' ? result.text : '')
  if (result.kind === 'failed' || !info.success) {
    const why = result.kind === 'failed' ? `: ${plain(result.why)}` : ''
    return [
      notChecked(
        'docker-unknown',
        `dockerd does not report its mirrors${why}`,
        'run docker info as a user with access to the socket of Docker',
      ),
    ]
  }
  const { RegistryConfig, DriverStatus } = info.output
  if (DriverStatus?.flat().includes(CONTAINERD_STORE) === true) {
    return [
      ok(
        'docker-reads-hosts',
        'the running dockerd keeps images in containerd, and reads hosts.toml files at every pull',
      ),
    ]
  }
  const hasMirror =
    RegistryConfig.Mirrors?.some((mirror) => mirror.replace(/\/$/, '').endsWith(`//${address}`)) === true
  if (hasMirror) return [ok('docker-uses-agent', `the running dockerd has ${address} among its mirrors`)]
  return [
    problem('docker-not-reloaded', `the running dockerd does not have ${address} among its mirrors`, {
      means:
        'dockerd has not read /etc/docker/daemon.json since the last change, and pulls directly from Docker Hub',
      todo: 'systemctl reload docker',
    }),
  ]
}
