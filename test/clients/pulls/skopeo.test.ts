import { skopeo } from '../kinds/skopeo.ts'
import { pullsThroughTheAgent } from './pull-steps.ts'

pullsThroughTheAgent(skopeo)
