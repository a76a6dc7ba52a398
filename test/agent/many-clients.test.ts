import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { sha256 } from '../../testkit/registries/faulty/content.ts'
import { MIB, startAgent, startUpstream } from './running-agent.ts'

describe('of many clients that want one blob', () => {
  it('each gets it whole, and upstream sends it once', async (t) => {
    const upstream = await startUpstream(t)
    const running = await startAgent(t, { upstream })
    const digest = upstream.addBlob(randomBytes(4 * MIB))
    const answers = await Promise.all(Array.from({ length: 20 }, () => running.getBlob(digest)))
    for (const { body } of answers) assert.equal(sha256(body), digest)
    assert.equal(upstream.bytesSent(digest), 4 * MIB)
  })

  it('the first may leave, and the others lose nothing', async (t) => {
    const upstream = await startUpstream(t)
    const running = await startAgent(t, { upstream })
    const digest = upstream.addBlob(randomBytes(4 * MIB))
    upstream.fault(digest, { stallAt: 2 * MIB, times: 1 })
    const first = await running.requestBlob(digest)
    const second = running.getBlob(digest)
    await once(first, 'readable')
    first.destroy()
    upstream.release()
    assert.equal(sha256((await second).body), digest)
    assert.ok(upstream.bytesSent(digest) <= 4 * MIB)
  })

  it('one that reads nothing delays no other', async (t) => {
    const upstream = await startUpstream(t)
    const running = await startAgent(t, { upstream })
    const digest = upstream.addBlob(randomBytes(16 * MIB))
    const paused = await running.requestBlob(digest)
    paused.pause()
    assert.equal(sha256((await running.getBlob(digest)).body), digest)
    paused.destroy()
  })

  it('32 may request open-ended ranges, read some bytes and leave', async (t) => {
    const upstream = await startUpstream(t)
    const running = await startAgent(t, { upstream })
    const bytes = randomBytes(8 * MIB)
    const digest = upstream.addBlob(bytes)
    const wanted = 256 * 1024
    await Promise.all(
      Array.from({ length: 32 }, async (_, n) => {
        const from = n * wanted
        const response = await running.requestBlob(digest, `bytes=${from}-`)
        assert.equal(response.statusCode, 206)
        assert.equal(response.headers['content-range'], `bytes ${from}-${bytes.length - 1}/${bytes.length}`)
        const chunks: Buffer[] = []
        let length = 0
        for await (const chunk of response) {
          chunks.push(chunk)
          length += chunk.length
          if (length >= wanted) break
        }
        const read = Buffer.concat(chunks).subarray(0, wanted)
        assert.ok(read.equals(bytes.subarray(from, from + wanted)))
      }),
    )
    assert.equal(upstream.bytesSent(digest), bytes.length)
    assert.equal(sha256((await running.getBlob(digest)).body), digest)
  })
})
