# A disaggregated deployment on AWS, with ordinary AWS credentials and nothing else: in the default VPC of
# the account, or in a subnet of your own.

terraform {
  required_version = ">= 1.8"
  required_providers {
    disagg = { source = "disagg/disagg" }
  }
}

provider "disagg" {
  aws = { region = var.region }
}

variable "region" {
  type    = string
  default = "us-east-2"
}

variable "model" {
  description = "A model that fits the GPUs of one machine: 33 GB of weights on 4 x 24 GB."
  type        = string
  default     = "Qwen/Qwen3-32B-FP8"
}

variable "gpu" {
  description = "The GPUs of each machine."
  type        = string
  default     = "L4:4"
}

variable "subnet" {
  description = "A subnet with a NAT gateway. Machines with several network cards (H100:8 and up) need one, or `egress`."
  type        = string
  default     = null
}

variable "egress" {
  description = "`public_ip` gives each worker an Elastic IP, for a subnet without NAT."
  type        = string
  default     = null
}

variable "clients" {
  description = "Address blocks from which the endpoint is reached."
  type        = set(string)
  default     = []
}

module "qwen" {
  source        = "../../modules/dynamo-pd"
  name          = "qwen"
  cloud         = "aws"
  region        = var.region
  subnet        = var.subnet
  egress        = var.egress
  model         = var.model
  ingress_cidrs = var.clients
  prefill       = { replicas = 1, gpu = var.gpu }
  decode        = { replicas = 2, gpu = var.gpu }
}

output "url" {
  value = module.qwen.url
}

output "maximum_hourly_cost" {
  value = module.qwen.maximum_hourly_cost
}
