import { type Finding, ok, problem, warning } from '../tools/finding.ts'
import { failureText, get } from '../tools/http-get.ts'
import {
  type Address,
  addressText,
  localAddress,
  type NodeSettings,
  parseAddress,
} from '../tools/node-settings.ts'
import type { AgentAnswer } from './agent.ts'

export type RegistryAnswer =
  | { readonly kind: 'answer'; readonly status: number; readonly isTls: boolean }
  | { readonly kind: 'no-answer'; readonly why: string }

/** The address of the registry API as the agent reports it; without a report, that of the settings. */
export function registryAddress(agent: AgentAnswer, { listen }: Pick<NodeSettings, 'listen'>): Address {
  return (agent.kind === 'agent' ? parseAddress(agent.status.addresses.registry) : undefined) ?? listen
}

/** The settings may be those of another agent, so both HTTP and TLS are tried, in the order that they suggest. */
export async function queryRegistry(
  address: Address,
  { isTls, signal }: { isTls: boolean; signal: AbortSignal },
): Promise<RegistryAnswer> {
  let failure: unknown
  for (const tls of [isTls, !isTls]) {
    try {
      const url = new URL('/v2/', `${tls ? 'https' : 'http'}://${addressText(localAddress(address))}`)
      const { status } = await get(url, { signal })
      // Some servers answer 400 to plain HTTP on a TLS port.
      if (status !== 400 || tls !== isTls) return { kind: 'answer', status, isTls: tls }
    } catch (error) {
      failure ??= error
    }
  }
  return { kind: 'no-answer', why: failureText(failure) }
}

export function judgeRegistry(
  answer: RegistryAnswer,
  { address, listen, isTls }: { address: Address; listen: Address; isTls: boolean },
): readonly Finding[] {
  const where = addressText(address)
  // 401: the settings ask for a login.
  if (answer.kind === 'no-answer' || ![200, 401].includes(answer.status)) {
    const what =
      answer.kind === 'no-answer' ? `does not answer (${answer.why})` : `answers ${answer.status} to /v2/`
    return [
      problem('registry-no-answer', `the registry address ${where} ${what}`, {
        means: 'nothing can be pulled through the agent',
        todo: 'start the agent, or give its registry address with --listen',
      }),
    ]
  }
  return [
    ok(
      'registry-answers',
      `the registry address ${where} answers /v2/ over ${answer.isTls ? 'TLS' : 'HTTP'}`,
    ),
    ...(listen.port === address.port && answer.isTls === isTls ? [] : [otherSettings(where, listen)]),
  ]
}

function otherSettings(where: string, listen: Address): Finding {
  return warning(
    'registry-not-loopback',
    `the agent serves ${where} with other settings than those given here (${addressText(listen)})`,
    {
      means:
        'agent runtime install would point runtimes elsewhere, and some findings below may be about another agent',
      todo: 'give the doctor the settings of the agent: the same flags, variables and --config',
    },
  )
}
