import { FakeS3, type S3Fault } from '../../object-store/fake-s3.ts'
import { serveTasks } from '../remote-process.ts'

/** A bucket that all nodes read and fill. Arguments: address and port. */

const [host = '', port = ''] = process.argv.slice(2)
let fake: FakeS3 | undefined

const tasks = {
  async start() {
    fake = await FakeS3.start('images', { host, port: Number(port) })
  },

  /** The keys that the bucket has. */
  async keys(): Promise<readonly string[]> {
    return fake?.objects.keys() ?? []
  },

  /** How many bytes of each object were sent since the last reset. */
  async sent(): Promise<ReadonlyMap<string, number>> {
    const sums = new Map<string, number>()
    for (const { method, key, sent } of fake?.requests ?? [])
      if (method === 'GET') sums.set(key, (sums.get(key) ?? 0) + sent)
    return sums
  },

  async reset() {
    fake?.requests.splice(0)
  },

  /** What goes wrong from now on when the bytes of a content are read; undefined: nothing. */
  async failReads(fault: S3Fault | undefined) {
    if (fake === undefined) return
    fake.faultOf = ({ method, key }) => (method === 'GET' && key.endsWith('/data') ? fault : undefined)
  },
}

export type BucketTasks = typeof tasks
serveTasks(tasks)
