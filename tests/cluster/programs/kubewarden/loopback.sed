# The controller's webhook server has no option for its address: loopback's here.
s|Port:         mgrOpts.WebhookServerPort,|Host: "127.0.0.1", Port: mgrOpts.WebhookServerPort,|
