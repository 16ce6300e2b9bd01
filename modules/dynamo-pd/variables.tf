variable "name" {
  description = "Name of the fleet and of the service."
  type        = string
}

variable "cloud" {
  description = "`local`, `aws`, `gcp` or `azure`."
  type        = string
}

variable "region" {
  description = "The region; not on the local cloud."
  type        = string
  default     = null
}

variable "zone" {
  description = "The zone. Left out, the first that offers the groups' GPUs is taken."
  type        = string
  default     = null
}

variable "subnet" {
  description = "The subnet, which is in that zone; the default one of the zone when left out."
  type        = string
  default     = null
}

variable "placement" {
  description = "`cluster`, or `zone` for machines out of a reservation; `cluster` when left out."
  type        = string
  default     = null
}

variable "egress" {
  description = "How workers reach the internet on AWS: `subnet` or `public_ip`; `subnet` when left out."
  type        = string
  default     = null
}

variable "ssh" {
  description = "Key pair and address blocks of people who come in by SSH, on AWS; nobody when left out."
  type        = object({ key_name = string, ingress_cidrs = set(string) })
  default     = null
}

variable "model" {
  description = "The model, by its name on the hub."
  type        = string
}

variable "dynamo_version" {
  description = "Dynamo's version; the provider's default when left out."
  type        = string
  default     = null
}

variable "port" {
  description = "Port of the OpenAI-compatible endpoint."
  type        = number
  default     = 8000
}

variable "ingress_cidrs" {
  description = "Address blocks from which the endpoint can be reached."
  type        = set(string)
  default     = []
}

variable "engine" {
  description = "`sglang`, `vllm`, `trtllm` or `mocker`."
  type        = string
  default     = "sglang"
}

variable "prefill" {
  description = "The machines that read prompts."
  type = object({
    replicas        = optional(number, 1)
    scaling         = optional(object({ min = number, max = number, target = number }))
    gpu             = optional(string)
    tensor_parallel = optional(number)
    args            = optional(list(string))
    market          = optional(string)
    reservation     = optional(string)
    image           = optional(string)
  })
  default = {}
}

variable "decode" {
  description = "The machines that generate."
  type = object({
    replicas        = optional(number, 1)
    scaling         = optional(object({ min = number, max = number, target = number }))
    gpu             = optional(string)
    tensor_parallel = optional(number)
    args            = optional(list(string))
    market          = optional(string)
    reservation     = optional(string)
    image           = optional(string)
  })
  default = {}
}

variable "update_strategy" {
  description = "How a change of what is baked into workers is rolled out. When left out, one at a time, and the last that serves when its successor does."
  type        = object({ max_unavailable = optional(number), max_surge = optional(number) })
  default     = null
}

variable "env" {
  description = "Environment of the engines."
  type        = map(string)
  default     = null
}

variable "secret_env" {
  description = "Secrets in the engines' environment: name to reference."
  type        = map(string)
  default     = null
}

variable "identity" {
  description = "Instance profile, service account or managed identity of the workers."
  type        = string
  default     = null
}
