# Listeners of KEDA's that have no option for their address: loopback's here.
s|fmt.Sprintf(":%v", metricsAPIServerPort)|fmt.Sprintf("127.0.0.1:%v", metricsAPIServerPort)|
s|Port:    webhooksPort,|Host: "127.0.0.1", Port: webhooksPort,|
