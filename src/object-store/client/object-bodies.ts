import type { BodyClient, BodyResponse } from '../../ports/object-store/body-client.ts'
import { failureOfAnswer, isExpired } from './answer-failure.ts'
import type { BucketAnswer, BucketRequests } from './bucket-requests.ts'
import { NO_PAYLOAD } from './signer.ts'
import { SmallIntake } from './small-intake.ts'

const MAX_ERROR_BYTES = 64 * 1024

/** Reads the bodies of the objects of one bucket, into the memory of an intake. */
export class ObjectBodies {
  readonly #requests: BucketRequests
  readonly #client: BodyClient

  constructor(requests: BucketRequests, client: BodyClient) {
    this.#requests = requests
    this.#client = client
  }

  /**
   * Asks for a range of an object, `end` not included, or for the rest. The caller reads the body or disposes of it. Rejects
   * with a `Failure` that names the bucket.
   */
  async get(
    key: string,
    { start, end }: { start: number; end?: number },
    { signal }: { signal: AbortSignal },
  ): Promise<BodyResponse> {
    const { signer, source, userAgent } = this.#requests
    const isWhole = start === 0 && end === undefined
    const headers = isWhole ? {} : { range: `bytes=${start}-${end === undefined ? '' : end - 1}` }
    const url = this.#requests.urlOf(key)
    for (let attempt = 0; ; attempt += 1) {
      const unsigned = { method: 'GET', url, headers, payloadHash: NO_PAYLOAD } as const
      const signed = await signer.sign(unsigned, { signal })
      const response = await this.#client.get({
        url,
        headers: { ...signed.headers, 'user-agent': userAgent, 'accept-encoding': 'identity' },
        signal,
      })
      if (response.status === 200 || response.status === 206) return response
      const answer = await readError(response)
      if (attempt > 0 || !isExpired(answer)) throw failureOfAnswer(answer, source)
      signer.forget(signed.credentials)
    }
  }

  async close(): Promise<void> {
    await this.#client.close()
  }
}

async function readError(response: BodyResponse): Promise<BucketAnswer> {
  const { status, headers, body } = response
  const intake = new SmallIntake(MAX_ERROR_BYTES)
  await body.readInto(intake, { skip: 0, limit: MAX_ERROR_BYTES }).catch(() => body.dispose())
  return { status, headers, text: intake.bytes.toString('utf8') }
}
