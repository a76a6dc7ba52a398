import { pullsThroughTheAgent } from './pulls.ts'
import { skopeo } from './skopeo.ts'

pullsThroughTheAgent(skopeo)
