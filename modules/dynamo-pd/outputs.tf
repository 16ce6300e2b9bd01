output "url" {
  description = "Base URL for clients of the OpenAI API."
  value       = disagg_endpoint.this.url
}

output "model" {
  description = "The model's name for clients."
  value       = disagg_endpoint.this.model
}

output "service_id" {
  description = "Id of the service, for more replica groups."
  value       = disagg_service.this.id
}

output "hourly_cost" {
  description = "Estimated price of everything in US dollars an hour."
  value       = disagg_service.this.hourly_cost + sum([for group in disagg_replica_group.this : group.hourly_cost])
}
