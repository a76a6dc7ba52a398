import { type Finding, ok, problem, warning } from '../tools/finding.ts'
import { failureText, lookAt, type Seen } from '../tools/http-look.ts'
import { type Address, dialled, type Patient, parsed, written } from '../tools/node-settings.ts'
import type { AgentSeen } from './agent.ts'

export type RegistrySeen =
  | { readonly kind: 'answer'; readonly status: number; readonly isTls: boolean }
  | { readonly kind: 'nobody'; readonly why: string }

/** Where clients are answered: as the agent says, or as the settings do while it says nothing. */
export function registryAddress(agent: AgentSeen, { listen }: Pick<Patient, 'listen'>): Address {
  return (agent.kind === 'agent' ? parsed(agent.status.addresses.registry) : undefined) ?? listen
}

/** The settings say whether it speaks TLS; they may be those of another agent, so the other way is tried too. */
export async function seeRegistry(
  address: Address,
  { isTls, signal }: { isTls: boolean; signal: AbortSignal },
): Promise<RegistrySeen> {
  let failure: unknown
  for (const tls of [isTls, !isTls]) {
    try {
      const url = new URL('/v2/', `${tls ? 'https' : 'http'}://${written(dialled(address))}`)
      const { status }: Seen = await lookAt(url, { signal })
      // To plain HTTP on a port for TLS some answer 400.
      if (status !== 400 || tls !== isTls) return { kind: 'answer', status, isTls: tls }
    } catch (error) {
      failure ??= error
    }
  }
  return { kind: 'nobody', why: failureText(failure) }
}

export function judgeRegistry(
  seen: RegistrySeen,
  { address, listen, isTls }: { address: Address; listen: Address; isTls: boolean },
): readonly Finding[] {
  const where = written(address)
  if (seen.kind === 'nobody' || seen.status !== 200) {
    const what = seen.kind === 'nobody' ? `does not answer (${seen.why})` : `answers ${seen.status} to /v2/`
    return [
      problem(`the registry address ${where} ${what}`, {
        means: 'nothing can be pulled through the agent',
        todo: 'start the agent, or say with --listen where it serves images',
      }),
    ]
  }
  return [
    ok(`the registry address ${where} answers /v2/ over ${seen.isTls ? 'TLS' : 'HTTP'}`),
    ...(listen.port === address.port && seen.isTls === isTls ? [] : [otherSettings(where, listen)]),
  ]
}

function otherSettings(where: string, listen: Address): Finding {
  return warning(`the agent serves ${where} with other settings than were given here (${written(listen)})`, {
    means:
      'agent runtime install would point runtimes elsewhere, and some of what follows may be about another agent',
    todo: 'give the doctor the settings of the agent: the same flags, variables and --config',
  })
}
