import type { AccessControl, Decision, Wish } from '../ports/access.ts'
import { absentAnswer, type ErrorAnswer, type RequestedKind, respondError } from './answer/respond.ts'
import type { HttpExchange } from './exchange/http-exchange.ts'

/**
 * Asks `access` about a request for something of the kind `requested`. Undefined: the client may not have what it wants, and
 * has its answer.
 */
export async function admit(
  exchange: HttpExchange,
  access: AccessControl,
  wishes: readonly Wish[],
  requested: RequestedKind,
): Promise<Extract<Decision, { kind: 'allowed' }> | undefined> {
  const decision = await access.decide(exchange.caller, wishes)
  if (decision.kind === 'allowed') return decision
  respondError(exchange, refusalOf(decision, requested))
  return undefined
}

/**
 * After too many wrong logins the answer is 403: 429 and 503 make clients repeat the request at once, and after 401 they
 * send the same password again.
 */
function refusalOf(decision: Exclude<Decision, { kind: 'allowed' }>, requested: RequestedKind): ErrorAnswer {
  switch (decision.kind) {
    case 'login': {
      const headers = { 'WWW-Authenticate': [...decision.challenges] }
      return { status: 401, code: 'UNAUTHORIZED', message: decision.message, headers }
    }
    case 'forbidden':
      return { status: 403, code: 'DENIED', message: decision.message }
    case 'absent':
      return absentAnswer(requested, decision.message)
    case 'unavailable':
      return { status: 502, code: 'UNAVAILABLE', message: decision.message }
    case 'slow-down': {
      const seconds = Math.max(1, Math.ceil(decision.retryAfterMs / 1000))
      const message = `too many wrong logins came from this address: log in again in ${seconds} s`
      return { status: 403, code: 'DENIED', message, headers: { 'Retry-After': seconds } }
    }
  }
}
