import type { IncomingMessage } from 'node:http'
import { type AdminAnswer, errorAnswer, jsonAnswer } from './answer.ts'
import { MAX_BODY_BYTES, readRequestBody } from './request-body.ts'

/** Takes what registries say about pushed images. */
export interface Notifications {
  notify(notification: {
    readonly body: Uint8Array
    readonly authorization: string | undefined
    /** The header X-Hub-Signature-256. */
    readonly signature: string | undefined
  }): Promise<
    | { readonly kind: 'accepted'; readonly images: readonly string[] }
    | { readonly kind: 'not-taken' | 'wrong-secret' | 'full' }
    | { readonly kind: 'malformed'; readonly problem: string }
  >
}

/** `notifications`: undefined when nothing is copied. */
export async function answerNotification(
  request: IncomingMessage,
  notifications: Notifications | undefined,
  { signal, timeoutMs }: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<AdminAnswer> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  const body = await readRequestBody(request, { signal: within })
  if (body === undefined)
    return errorAnswer(
      413,
      `the notification has more than ${MAX_BODY_BYTES} bytes; send fewer images at once`,
    )
  const { authorization, 'x-hub-signature-256': signature } = request.headers
  const outcome = await notifications?.notify({ body, authorization, signature: [signature].flat()[0] })
  switch (outcome?.kind) {
    case 'accepted':
      return jsonAnswer(202, { images: outcome.images })
    case 'malformed':
      return errorAnswer(400, outcome.problem)
    case 'full':
      return errorAnswer(503, 'too many images wait to be copied; send the notification again later')
    case 'wrong-secret': {
      const answer = errorAnswer(
        401,
        'the secret is wrong; send the one in secretFile of notified as Authorization: Bearer SECRET, or sign the body with it in X-Hub-Signature-256',
      )
      return { ...answer, challenge: 'Bearer realm="leat"' }
    }
    default:
      return errorAnswer(404, 'no copy of the settings takes notifications; give one of them notified')
  }
}
