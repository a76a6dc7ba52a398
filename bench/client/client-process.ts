import { download } from './download.ts'
import type { Done, Job } from './jobs.ts'
import { load } from './load.ts'
import { loadH2c } from './load-h2c.ts'

/** The client process does one job at a time, so that its cost is the same for every server. */
async function work(job: Job): Promise<Done> {
  if ('download' in job) return { downloaded: await Promise.all(job.download.map(download)) }
  return { loaded: await (job.load.protocol === 'h2c' ? loadH2c(job.load) : load(job.load)) }
}

process.on('message', (job: Job) => {
  work(job).then(
    (done) => process.send?.({ done }),
    (error: unknown) => process.send?.({ error: String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))
